/**
 * The parts of the durable table around its log, each by itself: rows, the count of those that have
 * expired, how a turn is undone, and the schema.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ExpiredRows } from "../../../tables/durable/expired_rows.ts";
import type { Rows } from "../../../tables/durable/rows.ts";
import { openRows } from "../../../tables/durable/rows_file.ts";
import { SCHEMA_VERSION, upgrade } from "../../../tables/durable/schema.ts";
import { UndoStack } from "../../../tables/durable/undo_stack.ts";
import { TableError } from "../../../tables/table.ts";
import { Text } from "../../../tables/text.ts";
import { tempFolder, testWith } from "../../support/harness.ts";

/** A test with rows in a new folder. */
function rowsTest(name: string, fn: (rows: Rows, folder: string) => void): void {
  testWith(["read", "write"], name, () => {
    const folder = tempFolder();
    const rows = openRows(folder);
    try {
      fn(rows, folder);
    } finally {
      rows.close();
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

function put(rows: Rows, key: string, { expiresAt = 0, isNew = true } = {}): void {
  rows.put(Text.of(key), { value: Text.of(`value of ${key}`), version: 1, expiresAt, isNew });
}

function keysOf(found: Iterable<{ readonly key: Text }>): string[] {
  return Array.from(found, ({ key }) => String(key));
}

rowsTest("rows come in the order of their keys' bytes, with all that they have", (rows) => {
  const keys = ["!", "A", "a", "aa", "\u00e9", "\ue000", "\u{1f600}"];
  rows.transaction(() => keys.toReversed().forEach((key) => put(rows, key)));
  assertEquals(keysOf(rows.from(Text.of(""))), keys);
  assertEquals(keysOf(rows.from(Text.of("b"))), keys.slice(4));
  const row = rows.get(Text.of("\u{1f600}"))!;
  assertEquals([String(row.value), row.version, row.expiresAt], ["value of \u{1f600}", 1, 0]);
  assertEquals([rows.state.count, rows.get(Text.of("b"))], [keys.length, undefined]);
});

rowsTest("a transaction that fails leaves rows, count and state as they were", (rows, folder) => {
  rows.transaction(() => put(rows, "stays"));
  const before = rows.state;
  assertThrows(
    () =>
      rows.transaction(() => {
        put(rows, "goes");
        rows.delete(Text.of("stays"));
        rows.setFlushed({ flushed: 9, turn: 9, version: 9 });
        rows.clear();
        throw new TableError("no");
      }),
    TableError,
  );
  assertEquals(rows.state, before);
  assertEquals(keysOf(rows.from(Text.of(""))), ["stays"]);
  rows.transaction(() => rows.setFlushed({ flushed: 7, turn: 5, version: 3 }));
  const db = new DatabaseSync(`${folder}/keyline.db`, { readOnly: true });
  const stored = db.prepare("SELECT count, flushed, turn FROM state").get()!;
  db.close();
  assertEquals([stored.count, stored.flushed, stored.turn], [1, 7, 5]);
});

rowsTest("a cleared row is out of sight at once, and is removed in steps", (rows) => {
  const COUNT = 100;
  rows.transaction(() => {
    for (let i = 0; i < COUNT; i++) put(rows, `key-${i}`, { expiresAt: 10 });
  });
  rows.transaction(() => rows.clear());
  const expiring = { after: { key: Text.of(""), expiresAt: 0 }, until: 99 };
  assertEquals([rows.state.count, rows.get(Text.of("key-1"))], [0, undefined]);
  assertEquals([keysOf(rows.from(Text.of(""))), keysOf(rows.expiring(expiring))], [[], []]);
  rows.transaction(() => put(rows, "key-1"));
  let steps = 0;
  while (rows.removeOld(0)) steps++;
  assert(steps > 3, `${steps} steps`);
  assertEquals(keysOf(rows.from(Text.of(""))), ["key-1"]);
});

rowsTest("rows that expire at one time come in pages, each of them once", (rows) => {
  const keys = Array.from({ length: 25 }, (_, i) => `key-${String(i).padStart(2, "0")}`);
  rows.transaction(() => {
    for (const key of keys) put(rows, key, { expiresAt: 10 });
    put(rows, "earlier", { expiresAt: 9 });
    put(rows, "later", { expiresAt: 11 });
    put(rows, "never");
  });
  const seen: string[] = [];
  let after = { key: Text.of(""), expiresAt: 0 };
  for (;;) {
    const page = [...rows.expiring({ after, until: 10, limit: 4 })];
    if (page.length === 0) break;
    seen.push(...keysOf(page));
    after = page.at(-1)!;
  }
  assertEquals(seen, ["earlier", ...keys]);
});

rowsTest("the count of expired rows is right whatever came between two looks", (rows) => {
  const hidden = new Set<string>();
  const expired = new ExpiredRows(rows, (key) => hidden.has(String(key)));
  rows.transaction(() => {
    for (let i = 1; i <= 20; i++) put(rows, `key-${i}`, { expiresAt: i });
  });
  hidden.add("key-3");
  assertEquals([expired.countAt(0), expired.countAt(5), expired.countAt(5)], [0, 4, 4]);
  hidden.add("key-5");
  expired.note(5, -1); // A row that is counted is hidden.
  expired.note(9, -1); // One that is not counted yet is none of its business.
  hidden.add("key-9");
  assertEquals([expired.countAt(5), expired.countAt(10)], [3, 7]);
  hidden.delete("key-3");
  expired.note(3, 1);
  assertEquals(expired.countAt(10), 8);
  assertEquals(expired.countAt(4), 4, "the clock was set back");
  expired.reset();
  assertEquals(expired.countAt(20), 18);
});

Deno.test("undoing goes back to what was before the change at the mark", () => {
  const stack = new UndoStack();
  const before = (n: number) => ({
    store: n,
    length: n + 1,
    count: n + 2,
    keys: n + 3,
    clearedAt: n,
  });
  for (let i = 0; i < 5; i++) stack.push(before(10 * i));
  assertEquals(stack.length, 5);
  assertEquals(stack.backTo(3), before(30));
  assertEquals(stack.backTo(1), before(10));
  assertEquals(stack.length, 1);
  stack.clear();
  assertEquals(stack.length, 0);
});

Deno.test("an upgrade that fails leaves the old schema whole", () => {
  const db = new DatabaseSync(":memory:");
  db.exec(`
    CREATE TABLE log (id INTEGER PRIMARY KEY, generation INTEGER, keys INTEGER, version INTEGER,
      changes TEXT);
    CREATE TABLE entries_1 (key TEXT PRIMARY KEY, value TEXT, version INTEGER, expires INTEGER);
    INSERT INTO entries_1 VALUES ('a', 'one', 1, NULL);
    INSERT INTO log VALUES (1, 1, 1, 1, 'no JSON');
    PRAGMA user_version = 2;
  `);
  const schema = () => db.prepare("SELECT name FROM sqlite_schema ORDER BY name").all();
  const before = schema();
  assertThrows(() => upgrade(db, 2), SyntaxError);
  assertEquals(schema(), before);
  db.exec(`UPDATE log SET changes = '["b","two",2,null,"a",null,0,null]'`);
  upgrade(db, 2);
  assertEquals(db.prepare("PRAGMA user_version").get()!.user_version, SCHEMA_VERSION);
  const found = db.prepare("SELECT CAST(key AS TEXT) AS key, version FROM entries").all();
  assertEquals(found.map(({ key, version }) => [key, version]), [["b", 2]]);
  assertEquals(db.prepare("SELECT count FROM state").get()!.count, 1);
  db.close();
});
