/**
 * The table on disk alone: its values without a cache, the room that CLEAR gives back, and its lock.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { tempFolder, testWith } from "../../support/harness.ts";
import { DURABLE_TABLE, TableSetup } from "../../support/table_model.ts";

testWith(
  ["read", "write"],
  "the room of what CLEAR removes is reused",
  () => {
    using setup = new TableSetup(DURABLE_TABLE);
    const fill = () => {
      for (let i = 0; i < 10_000; i++) setup.table.put(`key-${i}`, "x".repeat(500));
      setup.table.commit();
      setup.compactAllBut("so that the log moves");
    };
    fill();
    const bytes = setup.table.stats().disk_bytes!;
    setup.table.clear();
    setup.table.commit();
    setup.table.put("so that the log moves", "x".repeat(5_000));
    setup.table.commit();
    setup.maintainAll();
    for (let round = 0; round < 3; round++) {
      fill();
      setup.table.clear();
      setup.table.commit();
      setup.maintainAll();
    }
    assert(setup.table.stats().disk_bytes! < 1.5 * bytes);
  },
);

testWith(["read", "write"], "a table without a cache finds its rows", () => {
  const folder = tempFolder();
  const options = { cacheBytes: 0, slotBytes: 4_096 };
  const table = new DurableTable(folder, options);
  for (let i = 0; i < 100; i++) table.put(`key-${i}`, `value-${i}`);
  table.commit();
  for (let i = 0; i < 3; i++) {
    table.put("so that the log moves", "x".repeat(5_000));
    table.commit();
    while (table.maintain());
  }
  table.close();
  const again = new DurableTable(folder, options);
  for (let i = 0; i < 100; i++) assertEquals(String(again.get(`key-${i}`)), `value-${i}`);
  const { cache_hits, cache_misses } = again.stats();
  assertEquals([cache_hits, cache_misses], [0, 100]);
  again.close();
  Deno.removeSync(folder, { recursive: true });
});

testWith(
  ["read", "write"],
  "a folder in use can't be opened again, even by the same process",
  () => {
    const folder = tempFolder();
    const open = () => new DurableTable(folder, { cacheBytes: 0, slotBytes: 4_096 });
    const table = open();
    assertThrows(open, OpenError, `process ${Deno.pid}, since `);
    table.close();
    open().close();
    Deno.removeSync(folder, { recursive: true });
  },
);

testWith(["read", "write"], "a folder whose table is gone is not taken for a new one", () => {
  const folder = tempFolder();
  const open = () => new DurableTable(folder, { cacheBytes: 0, slotBytes: 4_096 });
  const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
  // What a start leaves that was killed before it had a table.
  Deno.writeTextFileSync(`${folder}/keyline.lock`, "");
  open().close();
  for (const name of names()) if (name !== "keyline.lock") Deno.removeSync(`${folder}/${name}`);
  for (let start = 1; start <= 2; start++) {
    assertThrows(open, OpenError, `its files are missing, but process ${Deno.pid}, since `);
  }
  assertEquals(names(), ["keyline.lock"]);
  Deno.removeSync(`${folder}/keyline.lock`);
  open().close();
  Deno.removeSync(folder, { recursive: true });
});
