/**
 * The rows that are left when changes have moved from the log: none that has expired, none after CLEAR, and
 * one row for a key that a power cut brings back.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { TableError } from "../../../tables/table.ts";
import { RowsHistory } from "./rows_history.ts";
import { ALL, maintainAll, tableTest } from "./table_in_folder.ts";

tableTest(
  "expired rows are removed even when many rows ahead of them have been extended",
  (folder) => {
    const COUNT = 1_000;
    let now = 1_000;
    const open = (segmentBytes: number) =>
      new DurableTable(folder, { cacheBytes: 0, now: () => now, segmentBytes });
    const table = open(4_096);
    const keys = Array.from({ length: COUNT }, (_, i) => `session-${i}`);
    for (const key of keys) table.put(key, "value", { expiresAt: 2_000 });
    for (let i = 0; i < 10; i++) table.put(`other-${i}`, "value", { expiresAt: 3_000 });
    table.commit();
    table.put("so that it moves", "x".repeat(8_000));
    table.commit();
    maintainAll(table);
    table.close();
    // In a log so large that nothing moves, the keys that expire first get a later time.
    const again = open(16_777_216);
    maintainAll(again);
    assert(again.stats().rows! >= COUNT + 10);
    for (const key of keys) again.expire(key, 9_000);
    again.commit();
    now = 4_000;
    // A step that finds none in its time is done; the next one, a second later on a server, continues.
    for (let step = 0; step < 50; step++) maintainAll(again);
    assert(again.stats().rows! <= COUNT + 1, `${again.stats().rows} rows are left`);
    assertEquals(again.count(), COUNT + 1);
    now = 9_000;
    assertEquals(again.count(), 1);
    again.close();
  },
);

tableTest("a row brought back by a power cut is counted and listed once", (folder) => {
  const options = { cacheBytes: 0, segmentBytes: 1_024, moveBytes: 1 };
  const put = (table: DurableTable, key: string) => {
    table.put(key, "x".repeat(100));
    table.commit();
  };
  const seal = (table: DurableTable) => {
    const { log_bytes } = table.stats();
    do put(table, "filler"); while (table.stats().log_bytes! > log_bytes!);
  };
  const crash = (history: RowsHistory, { from, lost }: { from: string; lost: number }) => {
    const to = Deno.makeTempDirSync({ dir: folder });
    for (const name of ["keyline.log.0", "keyline.log.1"]) {
      Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
    }
    return { folder: to, history: history.restore(to, { lost }) };
  };

  const history = new RowsHistory(folder);
  const first = history.during(() => {
    const table = new DurableTable(folder, options);
    put(table, "key");
    seal(table);
    maintainAll(table);
    const { rows } = table.stats();
    put(table, "filler"); // Its move is the first one, and durable.
    table.delete("key");
    table.commit();
    seal(table);
    while (table.stats().rows! >= rows!) assert(table.maintain(), "the deletion is never moved");
    put(table, "key"); // The log says: no row.
    return table;
  });
  assert(history.lostMax > 0, "the deletion was moved durably");
  const cut = crash(history, { from: folder, lost: history.lostMax });
  // What is moved here makes the log's word on the key look as if it came after the deletion was moved.
  const second = cut.history.during(() => {
    const table = new DurableTable(cut.folder, options);
    maintainAll(table);
    return table;
  });
  const killed = crash(cut.history, { from: cut.folder, lost: 0 });
  const third = new DurableTable(killed.folder, options);
  assertEquals([third.keys(ALL).keys, third.count()], [["filler", "key"], 2]);
  for (const table of [first, second, third]) table.close();
});

tableTest("the last few records of a segment move at once, without a look at the log", (folder) => {
  for (const moveBytes of [65_536, 1]) {
    const own = Deno.makeTempDirSync({ dir: folder });
    const table = new DurableTable(own, { cacheBytes: 0, segmentBytes: 4_096, moveBytes });
    const put = (key: string) => {
      table.put(key, "x".repeat(100));
      table.commit();
    };
    for (const key of ["kept", "changed", "deleted"]) put(key);
    do put("changed"); while (table.stats().log_bytes! > 0);
    put("changed");
    table.delete("deleted");
    table.commit();
    Deno.writeFileSync(`${own}/keyline.log.0`, new Uint8Array(4_096));
    // A step of one byte has no room for the few, and takes them from the log one by one.
    if (moveBytes === 1) {
      assertThrows(() => maintainAll(table), TableError);
    } else {
      maintainAll(table);
      assertEquals([table.stats().rows, table.keys(ALL).keys], [1, ["changed", "kept"]]);
      const again = new DatabaseSync(`${own}/keyline.db`, { readOnly: true });
      assertEquals(again.prepare("SELECT count(*) AS rows FROM entries").get()!.rows, 1);
      again.close();
    }
    table.close();
  }
});

tableTest("repeated CLEARs leave nothing in the file", (folder) => {
  const table = new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 });
  const schemaOf = () => {
    const db = new DatabaseSync(`${folder}/keyline.db`, { readOnly: true });
    const names = db.prepare("SELECT name FROM sqlite_schema ORDER BY name").all();
    const { rows } = db.prepare("SELECT count(*) AS rows FROM entries").get()!;
    db.close();
    return { names: names.map(({ name }) => name), rows };
  };
  const { names } = schemaOf();
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 30; i++) table.put(`key-${i}`, "x".repeat(200));
    table.commit();
    table.clear();
    table.commit();
    if (round % 7 === 0) maintainAll(table);
  }
  maintainAll(table);
  assertEquals(schemaOf(), { names, rows: 0 });
  table.close();
});
