/**
 * The indexes of segments: a start by them finds what a start by the records does, and they stand where
 * no turn does.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { findChain } from "../../../tables/durable/log/chain.ts";
import type { Segment } from "../../../tables/durable/log/segment.ts";
import { entriesOf, readIndex } from "../../../tables/durable/log/segment_index.ts";
import { FakeDisk } from "./fake_disk.ts";
import { FOLDER, LOG } from "./table_run.ts";
import { ALL, maintainAll } from "./table_in_folder.ts";

const SLOT_BYTES = 4_096;

function open(disk: FakeDisk): DurableTable {
  return new DurableTable(FOLDER, { slotBytes: SLOT_BYTES, cacheBytes: 0, now: () => 0, disk });
}

function stored(table: DurableTable) {
  return table.keys(ALL).keys.map((key) => {
    const { value, version, expiresAt } = table.entry(key)!;
    return [key, String(value), version, expiresAt];
  });
}

/** How many segments have an index, and the entries in all. */
function indexesIn(disk: FakeDisk): { segments: number; entries: number } {
  const log = disk.open(LOG);
  const indexes = findChain(log).segments.map((each) => readIndex(log, each))
    .filter((index) => index !== undefined);
  const entries = indexes.reduce((sum, index) => sum + [...entriesOf(index)].length, 0);
  return { segments: indexes.length, entries };
}

/** The same disk, where no index has its trailer. */
function withoutIndexes(disk: FakeDisk): FakeDisk {
  const files = disk.contents();
  const log = files.get(LOG)!;
  for (const segment of findChain(disk.open(LOG)).segments) {
    const end = segment.start + segment.size;
    if (readIndex(disk.open(LOG), segment) !== undefined) log.fill(0, end - 32, end);
  }
  return FakeDisk.of(files);
}

Deno.test("a start by indexes finds what a start by the records does", () => {
  const disk = new FakeDisk();
  const table = open(disk);
  for (let i = 0; i < 40; i++) {
    if (i === 10) table.clear();
    if (i % 7 === 3) table.delete(`key-${i - 1}`);
    const expiresAt = i % 3 === 0 ? 1_000_000 + i : null;
    table.put(`key-${i % 30}`, `${i}/`.padEnd(700, "x"), { expiresAt });
    table.commit();
  }
  const expected = stored(table);
  table.close();
  const { segments, entries } = indexesIn(disk);
  assert(segments > 5 && entries > 25);
  const left = withoutIndexes(disk);
  assertEquals(indexesIn(left).segments, 0);
  let reads = 0;
  disk.onCall = (kind) => void (reads += Number(kind === "read"));
  const byIndex = open(disk);
  const readsByIndex = reads;
  assertEquals(stored(byIndex), expected);
  byIndex.check();
  byIndex.close();
  const byRecords = open(left);
  assertEquals(stored(byRecords), expected);
  byRecords.close();
  assert(readsByIndex > 0);
});

Deno.test("an index leaves a large turn as it is, however much of its segments that takes", () => {
  // In several slots there is room for an index that one slot is too small for.
  for (let count = 90; count < 130; count++) {
    const disk = new FakeDisk();
    const table = open(disk);
    for (let i = 0; i < count; i++) table.put(`key-${i}`, "x".repeat(100));
    table.commit();
    table.put("next", "y".repeat(3_000));
    table.commit();
    maintainAll(table);
    table.check();
    table.close();
    const again = open(disk);
    again.check();
    assertEquals(again.count(), count + 1);
    again.close();
  }
});

Deno.test("an index leaves turns as they are where undone changes were counted for it", () => {
  for (let undone = 0; undone < 40; undone++) {
    const disk = new FakeDisk();
    const table = open(disk);
    for (let i = 0; i < 12; i++) {
      table.put(`key-${i}`, "x".repeat(250));
      const mark = table.mark();
      for (let j = 0; j < undone; j++) table.put(`undone-${j}`, "y");
      table.undo(mark);
      table.commit();
    }
    const again = open(disk.afterKill());
    for (let i = 0; i < 4; i++) {
      again.put("next", "y".repeat(3_000));
      again.commit();
      maintainAll(again);
      again.check();
    }
    assertEquals(again.count(), 13);
  }
});

Deno.test("an index does not count where the log went on behind it after a crash", () => {
  const disk = new FakeDisk();
  const table = open(disk);
  for (const key of ["a", "b", "c"]) table.put(key, key.repeat(1_000));
  table.commit();
  // The process is killed when it has written the index, and not yet the segment that follows.
  let left: FakeDisk | undefined;
  disk.onStep = () => left ??= disk.afterKill();
  table.put("large", "x".repeat(1_500));
  table.commit();
  assertEquals(findChain(left!.open(LOG)).segments.length, 1);
  assertEquals([...entriesOf(readIndex(left!.open(LOG), firstOf(left!))!)].length, 3);
  // So many small records that another index would not be worth it, and few enough to leave it there.
  const again = open(left!);
  for (let i = 0; i < 20; i++) again.put(`small-${i}`, "x");
  again.commit();
  again.put("large", "x".repeat(1_500));
  again.commit();
  again.close();
  assertEquals([...entriesOf(readIndex(left!.open(LOG), firstOf(left!))!)].length, 3);
  const last = open(left!);
  assertEquals(last.count(), 24);
  last.check();
});

function firstOf(disk: FakeDisk): Segment {
  return findChain(disk.open(LOG)).segments[0]!;
}
