/**
 * Damage: every byte of a small folder is flipped, and its files are cut off, emptied, removed, replaced by
 * older copies and by those of another table. A start recovers exactly what was acknowledged, or refuses and
 * changes nothing; what it finds only later is an error for that key. No value is ever wrong, and no key is
 * silently missing.
 *
 * There is one exception, which no log without a second one can tell from a torn write: after a crash, damage
 * in the very last turn, or that cuts off the last ones, beyond what the state file knows of.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { findChain } from "../../../tables/durable/log/chain.ts";
import { readIndex } from "../../../tables/durable/log/segment_index.ts";
import { TableError } from "../../../tables/table.ts";
import { drawFrom } from "../../support/draw.ts";
import { FakeDisk } from "./fake_disk.ts";
import {
  differenceOf,
  FOLDER,
  LOG,
  STATE,
  type State,
  type Stored,
  TableRun,
} from "./table_run.ts";
import { ALL } from "./table_in_folder.ts";

/** So small that every byte can be flipped, and that there are segments of each kind all the same. */
const SLOT_BYTES = 256;
const OPTIONS = { slotBytes: SLOT_BYTES, cacheBytes: 0 };
type Files = ReadonlyMap<string, Uint8Array>;

/** A folder at some moment, and what its table held. */
interface Sample {
  readonly files: Files;
  readonly state: State;
}

/** A table with a segment of each kind, as a clean stop and as a crash leaves it, and older copies of it. */
class Samples {
  /** Copies from earlier moments, with their files as they were in between and after a stop. */
  readonly older: Sample[] = [];
  readonly stopped: Sample;
  readonly crashed: Sample;
  /** What was committed at the last mark of the state file, and by each turn after it. */
  readonly sinceMark: State[];

  constructor() {
    const disk = new FakeDisk();
    const run = newRun(disk);
    const note = (): Sample => ({ files: disk.contents(), state: run.committed });
    for (let i = 0; i < 16; i++) {
      run.put(`key-${i % 6}`, `${i}/`.padEnd(i % 3 === 0 ? 60 : 125, "x"));
      run.maintainAll();
      if (i % 5 === 2) {
        this.older.push(note());
        run.reopen();
        this.older.push(note());
      }
    }
    run.put("large", "y".repeat(3 * SLOT_BYTES));
    run.delete("key-2");
    run.maintainAll();
    run.table.close();
    this.stopped = note();
    run.restart();
    run.maintainAll();
    this.sinceMark = [this.stopped.state];
    for (const key of ["a", "b"]) {
      run.put(key, "z".repeat(20));
      this.sinceMark.push(run.committed);
    }
    this.crashed = note();
    run.table.close();
  }
}

const samples = new Samples();

Deno.test("the samples have a segment of each kind", () => {
  for (const { files } of [samples.stopped, samples.crashed]) {
    const log = FakeDisk.of(files).open(LOG);
    const { segments } = findChain(log);
    assert(segments.some((each) => readIndex(log, each) !== undefined), "none is indexed");
    assert(segments.some(({ slots }) => slots > 1), "none has several slots");
    assert(segments.some(({ number, slot }) => number > slot + 1), "none is in a recycled slot");
    assert(segments.length > 4);
    assert(log.size() > SLOT_BYTES * segments.reduce((sum, { slots }) => sum + slots, 0));
  }
});

Deno.test("a flipped bit in any byte of a stopped table's files is mended, refused, or found by GET", () => {
  const outcomes = { recovered: 0, refused: 0, damaged: 0 };
  for (const [path, bytes] of samples.stopped.files) {
    for (let at = 0; at < bytes.length; at++) {
      if (path === STATE && at > 80 && at < 4_090 && at % 64 > 0) continue; // Between its copies.
      const files = changed(
        samples.stopped.files,
        path,
        (bytes) => void (bytes[at]! ^= 1 << at % 8),
      );
      outcomes[outcomeOf(files, samples.stopped.state, `byte ${at} of ${path}`)]++;
    }
  }
  assert(outcomes.recovered > 100 && outcomes.refused > 100 && outcomes.damaged > 100);
  console.log(outcomes);
});

Deno.test("a flipped bit after a crash loses at most the last turn, which no start can tell from a torn one", () => {
  const { files, state } = samples.crashed;
  const [, before] = samples.sinceMark as [State, State, State];
  const { last } = findChain(FakeDisk.of(files).open(LOG));
  const begin = last!.segment.start + last!.header.offset;
  for (let at = 0; at < files.get(LOG)!.length; at++) {
    const isLast = at >= begin && at < begin + last!.header.length;
    const isActive = Math.floor(at / SLOT_BYTES) === Math.floor(begin / SLOT_BYTES);
    if (!isActive && at % 5 > 0) continue; // As in a stopped table.
    const damaged = changed(files, LOG, (bytes) => void (bytes[at]! ^= 1 << at % 8));
    outcomeOf(damaged, isLast ? [state, before] : state, `byte ${at}`);
  }
  for (let at = 0; at < files.get(STATE)!.length; at += at === 40 ? 4_056 : 1) {
    const damaged = changed(files, STATE, (bytes) => void (bytes[at]! ^= 1 << at % 8));
    assertEquals(outcomeOf(damaged, state, `byte ${at} of the state`), "recovered");
  }
});

Deno.test("a file that is cut off, emptied or missing is refused, unless only room without data is gone", () => {
  for (
    const [sample, states] of [
      [samples.stopped, samples.stopped.state],
      [samples.crashed, samples.sinceMark],
    ] as const
  ) {
    for (const [path, bytes] of sample.files) {
      for (let length = 0; length < bytes.length; length += path === LOG ? 7 : 101) {
        const files = new Map(sample.files).set(path, bytes.slice(0, length));
        const outcome = outcomeOf(files, states, `${path} cut off at ${length}`);
        if (length === 0) assertEquals(outcome, "refused");
      }
      const files = new Map(sample.files);
      files.delete(path);
      assertEquals(outcomeOf(files, states, `${path} removed`), "refused");
      // What is left of a log says that there was a table, even where no turn of it is whole.
      const log = sample.files.get(LOG)!;
      for (let length = 0; path === STATE && length < log.length; length += 61) {
        const cut = new Map(files).set(LOG, log.slice(0, length));
        assertEquals(outcomeOf(cut, states, `the state and what follows ${length}`), "refused");
      }
      const zeros = new Map(sample.files).set(path, new Uint8Array(bytes.length));
      assertEquals(outcomeOf(zeros, states, `zeros in ${path}`), "refused");
    }
  }
});

Deno.test("an older copy of the log is refused, and one of the state changes nothing", () => {
  const all = [...samples.older, samples.stopped, samples.crashed];
  for (const [i, { files, state }] of all.entries()) {
    for (const older of all.slice(0, i)) {
      if (differenceOf(older.state, state) === undefined) continue;
      const log = new Map(files).set(LOG, older.files.get(LOG)!);
      // A copy that was taken after the last mark of the state file can't be told from a log that is cut off.
      const isAfterMark = samples.sinceMark.includes(older.state);
      const states = isAfterMark ? samples.sinceMark : state;
      assertEquals(outcomeOf(log, states, "older log"), isAfterMark ? "recovered" : "refused");
      const mark = new Map(files).set(STATE, older.files.get(STATE)!);
      assertEquals(outcomeOf(mark, state, "older state"), "recovered");
    }
  }
});

Deno.test("the files of another table are refused", () => {
  const other = new Samples();
  for (const path of [LOG, STATE]) {
    for (const { files, state } of [samples.stopped, samples.crashed]) {
      const mixed = new Map(files).set(path, other.stopped.files.get(path)!);
      assertEquals(outcomeOf(mixed, state, path), "refused");
    }
  }
});

Deno.test("slots that are swapped, doubled, zeroed, or older are refused, where they have segments", () => {
  const { files, state } = samples.stopped;
  const count = files.get(LOG)!.length / SLOT_BYTES;
  const slotOf = (bytes: Uint8Array, slot: number) =>
    bytes.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
  const outcomes = { recovered: 0, refused: 0, damaged: 0 };
  for (let a = 0; a < count; a++) {
    const zeroed = changed(
      files,
      LOG,
      (log) => void log.fill(0, a * SLOT_BYTES, (a + 1) * SLOT_BYTES),
    );
    outcomes[outcomeOf(zeroed, state, `slot ${a} zeroed`)]++;
    for (let b = 0; b < count; b++) {
      const from = files.get(LOG)!;
      const doubled = changed(files, LOG, (log) => log.set(slotOf(from, b), a * SLOT_BYTES));
      outcomes[outcomeOf(doubled, state, `slot ${b} over slot ${a}`)]++;
      const swapped = changed(doubled, LOG, (log) => log.set(slotOf(from, a), b * SLOT_BYTES));
      outcomes[outcomeOf(swapped, state, `slots ${a} and ${b} swapped`)]++;
    }
    for (const older of samples.older) {
      if ((a + 1) * SLOT_BYTES > older.files.get(LOG)!.length) continue;
      const slot = slotOf(older.files.get(LOG)!, a);
      const mixed = changed(files, LOG, (log) => log.set(slot, a * SLOT_BYTES));
      outcomes[outcomeOf(mixed, state, `slot ${a} of an older copy`)]++;
    }
  }
  console.log(outcomes);
});

/** What a start makes of files; fails where it is neither what was acknowledged, nor an error that says so. */
function outcomeOf(
  files: Files,
  states: State | readonly State[],
  what: string,
): "recovered" | "refused" | "damaged" {
  const disk = FakeDisk.of(files);
  const all = Array.isArray(states) ? states as readonly State[] : [states as State];
  for (let start = 0;; start++) {
    const before = disk.contents();
    let table: DurableTable;
    try {
      table = new DurableTable(FOLDER, { ...OPTIONS, now: () => 0, disk });
    } catch (error) {
      assert(error instanceof OpenError, `${what}: ${error}`);
      assert(error.message.includes(`${FOLDER}/keyline.`), error.message);
      if (start > 0) return "damaged";
      assertEquals(disk.contents(), before, what);
      return "refused";
    }
    const isRecovered = all.map((state) => holds(table, state)).find((is) => is !== undefined);
    assert(isRecovered !== undefined, `${what}: wrong value, or another set of keys`);
    if (start === 1) {
      table.close();
      return isRecovered ? "recovered" : "damaged";
    }
    runOn(table, what);
    table.close();
  }
}

/** Whether a table holds exactly this; false where it says of some keys that they are damaged; else undefined. */
function holds(table: DurableTable, state: State): boolean | undefined {
  const found = new Map<string, Stored>();
  let isWhole = true;
  const { keys } = table.keys(ALL);
  for (const key of keys.filter((key) => key !== "more")) {
    try {
      const { value, version, expiresAt } = table.entry(key)!;
      found.set(key, { value: String(value), version, expiresAt });
    } catch (error) {
      assert(error instanceof TableError && !error.fatal, String(error));
      isWhole = false;
      found.set(key, state.get(key) ?? { value: "damaged", version: 0, expiresAt: 0 });
    }
  }
  return differenceOf(found, state) === undefined ? isWhole : undefined;
}

/** Writes until everything would have been compacted. */
function runOn(table: DurableTable, what: string): void {
  for (let i = 0; i < 12; i++) {
    table.put("more", "m".repeat(150));
    try {
      table.commit();
      for (let step = 0; table.maintain(); step++) assert(step < 1_000);
    } catch (error) {
      throw new Error(`${what}: it does not run on`, { cause: error });
    }
  }
}

function changed(files: Files, path: string, change: (bytes: Uint8Array) => void): Files {
  const bytes = files.get(path)!.slice();
  change(bytes);
  return new Map(files).set(path, bytes);
}

function newRun(disk: FakeDisk): TableRun {
  const candidates = { states: [new Map()], sweptAt: undefined };
  return new TableRun(disk, { draw: drawFrom(1), options: OPTIONS, candidates });
}
