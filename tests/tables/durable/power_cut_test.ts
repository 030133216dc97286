/**
 * Power cuts: the log runs on a disk in memory that forgets, at any moment, any part of what was written
 * and not synced, in any order. Whatever is left of it, a start must find each turn that was acknowledged,
 * whole and in order, and at most the one that was under way behind them.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many runs there are, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { KIND } from "../../../tables/durable/change.ts";
import type { Log } from "../../../tables/durable/log.ts";
import { Text } from "../../../tables/text.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom, testWith } from "../../support/harness.ts";
import { FakeFile, type Files, logOn } from "./fake_disk.ts";

/** How many turns a run commits, and how many disks it tries at each step that a disk takes. */
const TURNS = 60;
const CUTS_A_STEP = 2;
const ROOM_BYTES = 4_096;

/** A table that is all log: its rows are a number here, which SQLite would have made durable. */
class Run {
  readonly #draw: Draw;
  readonly #files: Files = [new FakeFile(), new FakeFile()];
  #log: Log;
  /** The key of each change that has been acknowledged, by its number from 1 on. */
  #acknowledged: string[] = [];
  /** Those of the turn that is being committed. */
  #underWay: string[] = [];
  /** What the rows hold. */
  #flushed = { flushed: 0, turn: 0 };
  cuts = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
    this.#log = this.#start(this.#files, this.#flushed);
    for (const file of this.#files) {
      file.onStep = () => {
        for (let cut = 0; cut < CUTS_A_STEP; cut++) this.#cutPower();
      };
    }
  }

  /** Commits a turn, and sometimes flushes what is sealed, or starts anew. */
  step(): void {
    const count = 1 + this.#draw(4);
    for (let i = 0; i < count; i++) {
      const key = `${this.#acknowledged.length + i + 1}`;
      this.#underWay.push(key);
      this.#log.add(putOf(key, "x".repeat(this.#draw(this.#draw(8) === 0 ? 6_000 : 200))));
    }
    this.#log.commit();
    this.#acknowledged.push(...this.#underWay);
    this.#underWay = [];
    if (this.#draw(3) === 0) this.#flush();
    if (this.#draw(10) === 0) this.#log = this.#start(this.#files, this.#flushed);
  }

  /** Some or all of the sealed segment becomes rows. */
  #flush(): void {
    const sealed = this.#log.sealed();
    if (sealed === undefined) return;
    const isAll = this.#draw(2) === 0;
    const left = sealed.lastChange - this.#flushed.flushed;
    const flushed = isAll ? sealed.lastChange : this.#flushed.flushed + this.#draw(left + 1);
    this.#flushed = { flushed, turn: this.#log.turn };
    if (flushed === sealed.lastChange) this.#log.releaseSealed();
  }

  /** Cuts the power, starts on what is left, and then once more, with a turn in between. */
  #cutPower(): void {
    this.cuts++;
    const files = this.#files.map((file) =>
      new FakeFile(file.afterPowerCut(this.#draw))
    ) as unknown as Files;
    const log = this.#start(files, this.#flushed);
    log.add(putOf("new", "value"));
    log.commit();
    const again = logOn(files, { ...this.#flushed, roomBytes: ROOM_BYTES });
    assertEquals(String([...again.replay()].at(-1)!.key), "new");
  }

  /** Starts, and checks what is replayed. */
  #start(files: Files, { flushed, turn }: { flushed: number; turn: number }): Log {
    const log = logOn(files, { flushed, turn, roomBytes: ROOM_BYTES });
    const found = [...log.replay()].map(({ key, number }) => {
      assertEquals(String(key), `${number}`);
      return String(key);
    });
    const all = [...this.#acknowledged, ...this.#underWay].slice(flushed);
    const isWithTurn = found.length === all.length;
    assertEquals(found, isWithTurn ? all : this.#acknowledged.slice(flushed));
    log.prepare();
    return log;
  }
}

testWith(["env"], "a power cut at any moment loses nothing that was acknowledged", () => {
  const runs = numberFrom("KEYLINE_FUZZ_RUNS", 20);
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  let cuts = 0;
  for (let i = 0; i < runs; i++) {
    const run = new Run(drawFrom(seed + i));
    for (let turn = 0; turn < TURNS; turn++) run.step();
    cuts += run.cuts;
  }
  assert(cuts > 100 * runs, `the power was cut only ${cuts} times`);
});

function putOf(key: string, value: string) {
  const fields = { kind: KIND.PUT, isInRows: false, version: 1, expiresAt: 0 };
  return { ...fields, key: Text.of(key), value: Text.of(value) };
}
