/**
 * Power cuts and kills: the table runs on a disk in memory that forgets, at any step, any part of what was
 * written and not synced, in any order. Whatever is left of it, a start must find each turn that was
 * acknowledged, whole and in order, and at most the one that was under way behind them; then it runs on, and
 * is cut short again.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many runs there are, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertThrows } from "@std/assert";
import { TableError } from "../../../tables/table.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom, testWith } from "../../support/harness.ts";
import { DiskError, FakeDisk } from "./fake_disk.ts";
import { drawOptions, type RunOptions, TableRun } from "./table_run.ts";

/** How many steps a run has, and one that goes on after a cut. */
const STEPS = { first: 120, next: 8 };
/** How often a start is cut short while it goes on after a cut. */
const DEPTH_MAX = 2;
const EMPTY = { states: [new Map()], sweptAt: undefined };

/** Runs on a disk, and after a cut at some of its steps on what is left of it. */
class Cuts {
  readonly #draw: Draw;
  readonly #options: RunOptions;
  cuts = 0;
  kills = 0;
  failedSyncs = 0;
  /** The first failure on what was left: within a step of the disk, the table would take it for the disk's. */
  #failure: unknown;

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#options = drawOptions(draw);
  }

  run(): void {
    this.#runOn(new FakeDisk(), { candidates: EMPTY, depth: 0 });
    if (this.#failure !== undefined) throw this.#failure;
  }

  #runOn(
    disk: FakeDisk,
    { candidates, depth, now }: {
      candidates: TableRun["candidates"];
      depth: number;
      now?: number | undefined;
    },
  ): void {
    const [draw, options] = [this.#draw, this.#options];
    const begun: { run?: TableRun } = {};
    disk.onStep = () => {
      if (depth === DEPTH_MAX || draw(depth === 0 ? 3 : 40) > 0) return;
      const isKill = draw(4) === 0;
      if (isKill) this.kills++;
      else this.cuts++;
      const left = isKill ? disk.afterKill() : disk.afterPowerCut(draw);
      const next = {
        candidates: begun.run?.candidates ?? candidates,
        now: begun.run?.now,
        depth: depth + 1,
      };
      try {
        if (this.#failure === undefined) this.#runOn(left, next);
      } catch (error) {
        this.#failure = error;
      }
    };
    const run = begun.run = new TableRun(disk, {
      draw,
      options,
      candidates,
      ...(now !== undefined && { now }),
    });
    const steps = depth === 0 ? STEPS.first : draw(STEPS.next);
    for (let i = 0; i < steps; i++) {
      if (draw(25) === 0) this.#failSync(run);
      else run.step();
      if (this.#failure !== undefined) throw this.#failure;
    }
    run.reopen();
    run.table.close();
  }

  /** A sync fails, the table ends, and the next start finds in the system's memory what is not on the disk. */
  #failSync(run: TableRun): void {
    const { disk } = run;
    disk.onCall = (kind) => {
      if (kind !== "sync") return;
      disk.onCall = () => {};
      this.failedSyncs++;
      throw new DiskError("EIO", "sync");
    };
    try {
      run.turn();
      run.maintain();
    } catch (error) {
      assert(error instanceof TableError && error.fatal, String(error));
      assertThrows(() => run.table.commit(), TableError);
      run.table.close();
      run.restart();
    }
    disk.onCall = () => {};
  }
}

testWith(["env"], "a power cut or a kill at any step loses nothing that was acknowledged", () => {
  const runs = numberFrom("KEYLINE_FUZZ_RUNS", 4);
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  const counts = { cuts: 0, kills: 0, failedSyncs: 0 };
  for (let i = 0; i < runs; i++) {
    const cuts = new Cuts(drawFrom(seed + i));
    try {
      cuts.run();
    } catch (error) {
      throw new Error(`KEYLINE_FUZZ_SEED=${seed + i} fails`, { cause: error });
    }
    counts.cuts += cuts.cuts;
    counts.kills += cuts.kills;
    counts.failedSyncs += cuts.failedSyncs;
  }
  console.log(counts);
  assert(counts.cuts > 50 * runs && counts.kills > 10 * runs, "the power was cut too seldom");
});
