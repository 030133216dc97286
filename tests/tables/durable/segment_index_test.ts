/**
 * The indexes of segments: a start by them finds what a start by the records does, and a turn that
 * has one has room for it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { findChain } from "../../../tables/durable/log/chain.ts";
import { recordBytes } from "../../../tables/durable/log/format.ts";
import { load } from "../../../tables/durable/log/load.ts";
import { Segment } from "../../../tables/durable/log/segment.ts";
import { type IndexEntry, readIndex } from "../../../tables/durable/log/segment_index.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
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

/** The segments of a log, and the indexes that those before the last have. */
function indexesIn(disk: FakeDisk): { segments: readonly Segment[]; indexes: IndexEntry[][] } {
  const log = disk.open(LOG);
  const { segments } = findChain(log);
  const indexes = segments.map((each) => readIndex(log, each))
    .filter((index) => index !== undefined);
  return { segments, indexes };
}

/** The keys of a log, with their places and versions, by the indexes or without them. */
function loaded(disk: FakeDisk, { isIndexed }: { isIndexed: boolean }): Map<string, number[]> {
  const file = disk.open(LOG);
  const { segments, last } = findChain(file);
  const chain = {
    last,
    segments: isIndexed
      ? segments
      : segments.map(({ header, slot, end }) => new Segment({ ...header, index: 0 }, slot, end)),
  };
  const memtable = new Memtable({ log: { segmentBytes: SLOT_BYTES, recordBytes } });
  memtable.load(0, () => load({ file, chain, memtable, hotBytesMax: 0 }));
  const { records } = memtable;
  return new Map([...records.records()].map((ref) => {
    const [place, version] = [records.place(ref), records.version(ref)];
    return [String(records.key(ref)), [place, version, records.expiresAt(ref)]];
  }));
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
  const { segments, indexes } = indexesIn(disk);
  assertEquals(indexes.length, segments.length - 1);
  assert(indexes.length > 5 && indexes.flat().length > 25);
  assertEquals(loaded(disk, { isIndexed: true }), loaded(disk, { isIndexed: false }));
  const again = open(disk);
  assertEquals(stored(again), expected);
  again.check();
});

Deno.test("a start reads no value where there is an index", () => {
  const disk = new FakeDisk();
  const table = open(disk);
  for (let i = 0; i < 40; i++) {
    table.put(`key-${i}`, "x".repeat(700));
    table.commit();
  }
  table.close();
  const { segments } = indexesIn(disk);
  const file = disk.open(LOG);
  const log = disk.contents().get(LOG)!;
  for (const { start } of segments.slice(0, -1)) log.fill(0xff, start + 500, start + 700);
  file.write(log, 0);
  assertEquals(open(disk).count(), 40);
});

Deno.test("a turn has room for the index of the segment before, however large both are", () => {
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

Deno.test("an index has no entries of changes that were undone", () => {
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
