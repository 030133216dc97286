/**
 * Damage that a start does not see, because it reads the index of a segment and not its records: GET finds it,
 * and so does compaction, which stops there and leaves it as it is.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { findChain } from "../../../tables/durable/log/chain.ts";
import { TURN_HEADER_BYTES } from "../../../tables/durable/log/format.ts";
import { readIndex } from "../../../tables/durable/log/segment_index.ts";
import { TableError } from "../../../tables/table.ts";
import { DiskError, FakeDisk } from "./fake_disk.ts";
import { FOLDER, LOG } from "./table_run.ts";
import { ALL, maintainAll } from "./table_in_folder.ts";

/** What stands before a key: the checksum, and the head of the change. */
const RECORD_HEAD_BYTES = 20;

type Files = ReadonlyMap<string, Uint8Array>;

/** What a table on such a disk reports. */
class Opened {
  readonly reports: string[] = [];
  readonly table: DurableTable;

  constructor(disk: FakeDisk, slotBytes: number) {
    const report = (level: string, event: string, details?: Record<string, unknown>) => {
      if (level === "error") this.reports.push(`${event} ${details?.file} ${details?.offset}`);
    };
    this.table = new DurableTable(FOLDER, { slotBytes, cacheBytes: 0, report, disk });
  }

  /** Writes until all that there was would be compacted. */
  outgrow(turns: number, bytes: number): void {
    for (let i = 0; i < turns; i++) {
      this.table.put("more", "m".repeat(bytes));
      this.table.commit();
      maintainAll(this.table);
    }
  }
}

const SMALL = { slotBytes: 1_024, turns: 40, bytes: 700 };

/** A table whose first segment is indexed, and has the keys a, b and c. */
function indexed(): Files {
  const disk = new FakeDisk();
  const { table } = new Opened(disk, SMALL.slotBytes);
  for (const key of ["a", "b", "c"]) {
    table.put(key, key.repeat(200));
    table.commit();
  }
  for (const key of ["d", "e", "f"]) {
    table.put(key, key.repeat(500));
    table.commit();
  }
  maintainAll(table);
  table.close();
  const log = disk.open(LOG);
  const { segments } = findChain(log);
  assert(readIndex(log, segments[1]!) !== undefined);
  return disk.contents();
}

/** Where a key with its value is in the log. */
function placeOf(files: Files, value: string): number {
  return new TextDecoder("latin1").decode(files.get(LOG)!).indexOf(value);
}

function flipped(files: Files, at: number): FakeDisk {
  const log = files.get(LOG)!.slice();
  log[at]! ^= 4;
  return FakeDisk.of(new Map(files).set(LOG, log));
}

Deno.test("GET of a damaged value fails, names file and offset once, and is counted; all others go on", () => {
  const files = indexed();
  const { table, reports } = new Opened(flipped(files, placeOf(files, "bbb") + 7), SMALL.slotBytes);
  for (let i = 0; i < 3; i++) {
    const error = assertThrows(() => table.get("b"), TableError, "the value is damaged");
    assert(!error.fatal);
  }
  assertEquals(reports.length, 1);
  assert(/^A value is damaged data\/keyline\.log \d+$/.test(reports[0]!), reports[0]);
  assertEquals(table.stats().damaged_records, 1);
  assertEquals(String(table.get("a")), "a".repeat(200));
  assertEquals(table.count(), 6);
  // What needs no value goes on, and a new value takes its place.
  assertThrows(() => table.expire("b", null), TableError);
  table.put("b", "new");
  table.commit();
  assertEquals(String(table.get("b")), "new");
});

Deno.test("however many values are damaged, the log has a bounded number of lines, and the count all", () => {
  const slotBytes = 131_072;
  const disk = new FakeDisk();
  const { table } = new Opened(disk, slotBytes);
  const keys = Array.from({ length: 150 }, (_, i) => `key${100 + i}`);
  for (const key of keys) table.put(key, `${key}:`.repeat(80));
  table.commit();
  table.put("other", "o".repeat(100_000));
  table.commit();
  maintainAll(table);
  table.close();
  const log = disk.contents().get(LOG)!.slice();
  const text = new TextDecoder("latin1").decode(log);
  for (const key of keys) log[text.indexOf(`${key}:${key}:`) + 9]! ^= 1;
  const opened = new Opened(FakeDisk.of(new Map(disk.contents()).set(LOG, log)), slotBytes);
  for (const key of [...keys, ...keys]) assertThrows(() => opened.table.get(key), TableError);
  assertEquals(opened.table.stats().damaged_records, 150);
  assertEquals(opened.reports.length, 101);
  assert(opened.reports[100]!.startsWith("More values are damaged"), opened.reports[100]);
});

Deno.test("a value that can't be read is an error for its key, and is read once the disk can", () => {
  const disk = FakeDisk.of(indexed());
  const { table, reports } = new Opened(disk, SMALL.slotBytes);
  disk.onCall = (kind) => {
    if (kind === "read") throw new DiskError("EIO", "read");
  };
  const error = assertThrows(() => table.get("b"), TableError, "can't be read");
  assert(!error.fatal);
  table.put("x", "y");
  table.commit();
  disk.onCall = () => {};
  assertEquals(String(table.get("b")), "b".repeat(200));
  assertEquals([reports.length, table.stats().damaged_records], [1, 1]);
});

Deno.test("compaction stops at damage, says so once, and goes on when nothing of it is needed", () => {
  const files = indexed();
  const place = placeOf(files, "bbb");
  const disk = flipped(files, place + 7);
  const opened = new Opened(disk, SMALL.slotBytes);
  const { table, reports } = opened;
  opened.outgrow(SMALL.turns, SMALL.bytes);
  assertEquals(reports.filter((each) => each.startsWith("The log can't be compacted")).length, 1);
  assertEquals(table.stats().damaged_records, 1);
  assertThrows(() => table.get("b"), TableError);
  const size = table.stats().disk_bytes!;
  assert(size > SMALL.turns * SMALL.bytes, "it was compacted");
  assertEquals(table.keys(ALL).keys, ["a", "b", "c", "d", "e", "f", "more"]);
  for (const key of "acdef") assert(String(table.get(key)).startsWith(key.repeat(200)));
  // The damage is where it was: nothing has a new checksum.
  const log = disk.contents().get(LOG)!;
  assertEquals(log[place + 7], "b".charCodeAt(0) ^ 4);
  for (const key of "abc") table.delete(key);
  table.commit();
  opened.outgrow(8, SMALL.bytes);
  assert(table.stats().disk_bytes! < size / 2, "it is not compacted");
  assertEquals(table.keys(ALL).keys, ["d", "e", "f", "more"]);
  table.close();
  assertEquals(new Opened(disk, SMALL.slotBytes).table.count(), 4);
});

Deno.test("damage anywhere in the head of a record or of a turn stops compaction at most", () => {
  // Records that are larger than what compaction reads at a time, and one behind them.
  const slotBytes = 1_048_576;
  const disk = new FakeDisk();
  const { table } = new Opened(disk, slotBytes);
  const values = new Map([["a", 240_000], ["b", 300_000], ["c", 100_000]]);
  for (const [key, length] of values) table.put(key, key.repeat(length));
  table.commit();
  table.put("d", "d".repeat(700_000));
  table.commit();
  maintainAll(table);
  table.close();
  const files = disk.contents();
  const heads = ["aaa", "bbb", "ccc"].map((value) => placeOf(files, value) - RECORD_HEAD_BYTES);
  const turn = heads[0]! - TURN_HEADER_BYTES;
  for (const head of [turn, ...heads]) {
    for (let at = head; at < head + RECORD_HEAD_BYTES; at++) {
      const log = files.get(LOG)!.slice();
      log[at]! ^= at % 2 === 0 ? 1 : 128;
      const opened = new Opened(FakeDisk.of(new Map(files).set(LOG, log)), slotBytes);
      opened.table.delete("d");
      opened.table.commit();
      opened.outgrow(9, 900_000);
      assertEquals(opened.table.count(), 4, `byte ${at}`);
      assertEquals(opened.reports, [`The log can't be compacted ${LOG} undefined`]);
    }
  }
});
