/**
 * A disk that fails once, at any call of a random workload. What can't be read is an error for that key, or
 * stops compaction; a failed write or sync ends the table, and the next start finds what was acknowledged; a
 * full disk refuses the turn. After each, the table goes on with what it held.
 *
 * `KEYLINE_FUZZ_RUNS` sets at how many calls of each kind the disk fails, `KEYLINE_FUZZ_SEED` repeats a run.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { DiskFullError, OpenError } from "../../../tables/durable/errors.ts";
import { findChain, readHeader, readHeaders } from "../../../tables/durable/log/chain.ts";
import { TableError } from "../../../tables/table.ts";
import { drawFrom } from "../../support/draw.ts";
import { numberFrom, testWith } from "../../support/harness.ts";
import { type CallKind, DiskError, FakeDisk } from "./fake_disk.ts";
import { maintainAll } from "./table_in_folder.ts";
import { drawOptions, FOLDER, LOG, TableRun } from "./table_run.ts";

const STEPS = 50;
const EMPTY = { states: [new Map()], sweptAt: undefined };

/** What a run met. */
interface Met {
  /** How many calls of this kind there were. */
  calls: number;
  errors: string[];
}

/** A run whose disk fails at one call; at none if that is undefined. */
function runWith(
  seed: number,
  fault: { kind: CallKind; code: "EIO" | "ENOSPC"; at?: number },
): Met {
  const draw = drawFrom(seed);
  const disk = new FakeDisk();
  const met: Met = { calls: 0, errors: [] };
  disk.onCall = (kind, path) => {
    if (kind !== fault.kind || met.calls++ !== fault.at) return;
    throw new DiskError(fault.code, `${kind} ${path}`);
  };
  const options = { ...drawOptions(draw), report() {} };
  const start = () => new TableRun(disk, { draw, options, candidates: EMPTY });
  let run: TableRun;
  try {
    run = start();
  } catch (error) {
    met.errors.push(refused(error));
    run = start();
  }
  for (let i = 0; i <= STEPS; i++) {
    try {
      if (i < STEPS) run.step();
      else run.reopen();
    } catch (error) {
      met.errors.push(failed(run, error, fault.code));
    }
  }
  disk.onCall = () => {};
  run.reopen();
  run.table.close();
  return met;
}

/** A start that fails says which file it is. */
function refused(error: unknown): string {
  assert(error instanceof OpenError, String(error));
  assert(error.message.includes("data"), error.message);
  return "OpenError";
}

/** Goes on after a failure, and checks that it was of the right kind. */
function failed(run: TableRun, error: unknown, code: string): string {
  const { disk } = run;
  if (error instanceof OpenError) {
    run.restart();
    return refused(error);
  }
  assert(error instanceof TableError, String(error));
  if (!error.fatal) {
    const isOfRead = /the value can't be read/.test(error.message);
    assert(isOfRead || (code === "ENOSPC" && error instanceof DiskFullError), String(error.cause));
    run.table.undo(0);
    run.settle();
    return error.message;
  }
  assert(code === "EIO", error.message);
  const { draw, options, candidates, now } = { ...run, draw: drawFrom(1) };
  run.table.close();
  for (let cut = 0; cut < 3; cut++) {
    new TableRun(disk.afterPowerCut(draw), { draw, options, candidates, now }).table.close();
  }
  run.restart();
  for (let cut = 0; cut < 3; cut++) {
    new TableRun(disk.afterPowerCut(draw), { draw, options, candidates: run.candidates, now }).table
      .close();
  }
  return error.message;
}

const FAULTS = [
  ["read", "EIO"],
  ["write", "EIO"],
  ["write", "ENOSPC"],
  ["truncate", "EIO"],
  ["sync", "EIO"],
  ["open", "EIO"],
  ["rename", "EIO"],
  ["syncFolder", "EIO"],
] as const;

for (const [kind, code] of FAULTS) {
  testWith(["env"], `${code} at any ${kind} loses nothing that was acknowledged`, () => {
    const runs = numberFrom("KEYLINE_FUZZ_RUNS", 12);
    const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
    console.log(`KEYLINE_FUZZ_SEED=${seed}`);
    const { calls } = runWith(seed, { kind, code });
    const counts: Record<string, number> = {};
    const stride = Math.max(1, calls / runs);
    for (let at = (seed % 97 / 97) * stride; at < calls; at += stride) {
      try {
        const { errors } = runWith(seed, { kind, code, at: Math.floor(at) });
        // A full disk is taken for full until the work that waits has seen that it is not.
        assert(errors.length < 2 || code === "ENOSPC", errors.join());
        const outcome = errors[0] ?? "not noticed";
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      } catch (error) {
        throw new Error(`at call ${Math.floor(at)} of ${calls}`, { cause: error });
      }
    }
    console.log(counts);
  });
}

Deno.test("a segment whose first turn failed half-way gives its number to another one", () => {
  const disk = new FakeDisk();
  const slotBytes = 4_096;
  const table = new DurableTable(FOLDER, { slotBytes, cacheBytes: 0, disk });
  table.put("first", "x".repeat(3_000));
  table.commit();
  // A file system that copies what is overwritten may be full for room that the file has.
  const log = disk.open(LOG);
  disk.onStep = () => {
    if (readHeader(log, slotBytes) !== undefined) throw new DiskError("ENOSPC", "write");
  };
  table.put("failed", "y".repeat(2_000));
  assertThrows(() => table.commit(), TableError, "disk full");
  disk.onStep = () => {};
  maintainAll(table);
  // While somebody copies the log, its slot is not free at once.
  disk.isCopied = true;
  table.put("large", "z".repeat(3 * slotBytes));
  table.commit();
  const numbers = readHeaders(log, findChain(log).segments[0]!.header).map(({ header }) =>
    header.number
  );
  assertEquals(numbers, [1, 2]);
  const again = new DurableTable(FOLDER, { slotBytes, cacheBytes: 0, disk: disk.afterKill() });
  assertEquals(again.count(), 2);
  again.check();
});
