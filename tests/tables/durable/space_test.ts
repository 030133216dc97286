/**
 * Room that is given back to the file system, wherever in the file the segments are that are left.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { FakeDisk } from "./fake_disk.ts";
import { maintainAll } from "./table_in_folder.ts";
import { FOLDER } from "./table_run.ts";

const SLOT_BYTES = 4_096;

/** A table of so many keys of 500 bytes each, whose last segments are at the end of the file. */
function filled(keys: number, now = () => 0): { disk: FakeDisk; table: DurableTable } {
  const disk = new FakeDisk();
  const table = new DurableTable(FOLDER, { slotBytes: SLOT_BYTES, cacheBytes: 0, now, disk });
  for (let i = 0; i < keys; i++) {
    table.put(`key-${i}`, `${i}`.padEnd(500, "x"));
    table.commit();
  }
  maintainAll(table);
  return { disk, table };
}

function slots(table: DurableTable): number {
  return table.stats().disk_bytes! / SLOT_BYTES;
}

Deno.test("CLEAR gives the file back, though the active segment is at its end", () => {
  const { disk, table } = filled(1_000);
  assert(slots(table) > 100);
  table.clear();
  table.commit();
  table.put("last", "x");
  table.commit();
  maintainAll(table);
  table.check();
  assert(slots(table) <= 8, `${slots(table)} slots`);
  table.close();
  const again = new DurableTable(FOLDER, { slotBytes: SLOT_BYTES, cacheBytes: 0, disk });
  assertEquals([again.count(), String(again.get("last"))], [1, "x"]);
});

Deno.test("the newest keys are moved from the end of the file when the others are deleted, and only once", () => {
  const { table } = filled(1_000);
  for (let i = 0; i < 900; i++) table.delete(`key-${i}`);
  table.commit();
  maintainAll(table);
  table.check();
  // 100 keys take 13 slots, and the file two and a half times as many, and some.
  assert(slots(table) < 2.5 * 13 + 10, `${slots(table)} slots`);
  const copied = table.stats().compacted_bytes!;
  for (let i = 0; i < 20; i++) {
    table.put("more", "x");
    table.commit();
    maintainAll(table);
  }
  assertEquals(table.stats().compacted_bytes, copied);
  for (let i = 900; i < 1_000; i++) assert(table.get(`key-${i}`)!.length === 500);
});

Deno.test("keys that expire meanwhile are removed, and the file shrinks", () => {
  let now = 0;
  const { table } = filled(1_000, () => now);
  table.clear();
  table.put("gone", "x", { expiresAt: 1 });
  table.commit();
  now = 2;
  maintainAll(table);
  table.check();
  assertEquals([table.count(), table.stats().expired_keys], [0, 1]);
  assert(slots(table) <= 8, `${slots(table)} slots`);
});
