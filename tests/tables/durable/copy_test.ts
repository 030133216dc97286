/**
 * Backups and what is restored of them: what the table held at one moment, also of a table that goes on.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { backUp, restore } from "../../../tables/durable/copy.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom, tempFolder, testWith } from "../../support/harness.ts";
import { ALL, maintainAll } from "./table_in_folder.ts";

const SLOT_BYTES = 65_536;

/** Does all of a copy, and something in between, whether it is told of that or takes steps. */
function copy(
  run: typeof backUp | typeof restore,
  [from, to]: [from: string, to: string],
  work: () => void = () => {},
): void {
  const steps = (run as (...all: unknown[]) => number | Iterable<unknown>)(from, to, work);
  if (typeof steps !== "number") { for (const _step of steps) work(); }
}

type Stored = readonly [value: string, version: number, expiresAt: number | null];

/** A table, what it held after each turn, and a place for copies. */
class Copied implements Disposable {
  readonly #root = tempFolder();
  readonly folder = `${this.#root}/data`;
  readonly backup = `${this.#root}/backup`;
  readonly restored = `${this.#root}/restored`;
  readonly #draw: Draw;
  readonly table = open(this.folder);
  readonly states: ReadonlyMap<string, Stored>[] = [new Map()];

  constructor(seed: number) {
    this.#draw = drawFrom(seed);
  }

  /** A turn of random changes, and some of the work that waits. */
  step(valueBytes: number): void {
    const state = new Map(this.states.at(-1)!);
    for (let i = 1 + this.#draw(3); i > 0; i--) {
      const key = `key-${this.#draw(100)}`;
      if (this.#draw(5) === 0) {
        this.table.delete(key);
        state.delete(key);
        continue;
      }
      const expiresAt = this.#draw(4) === 0 ? 1_000 + this.#draw(9) : null;
      const value = "x".repeat(1 + this.#draw(valueBytes));
      state.set(key, [value, this.table.put(key, value, { expiresAt }), expiresAt]);
    }
    this.table.commit();
    this.states.push(state);
    this.table.maintain();
  }

  backUp(work?: () => void): void {
    copy(backUp, [this.folder, this.backup], work);
  }

  /** What a table that is restored holds; it goes on from there. */
  restoredState(): Map<string, Stored> {
    copy(restore, [this.backup, this.restored]);
    const table = open(this.restored);
    table.check();
    const state = stateOf(table);
    const versions = [...state.values()].map(([, version]) => version);
    assert(table.put("new", "value") > Math.max(0, ...versions), "a version is given again");
    table.commit();
    table.close();
    const again = open(this.restored);
    assertEquals(again.count(), state.size + 1);
    again.close();
    return state;
  }

  /** The names beside the data folder. */
  names(): string[] {
    return [...Deno.readDirSync(this.#root)].map(({ name }) => name).toSorted();
  }

  [Symbol.dispose](): void {
    this.table.close();
    Deno.removeSync(this.#root, { recursive: true });
  }
}

function open(folder: string): DurableTable {
  return new DurableTable(folder, { slotBytes: SLOT_BYTES, cacheBytes: 0, now: () => 0 });
}

function stateOf(table: DurableTable): Map<string, Stored> {
  return new Map(
    table.keys(ALL).keys.map((key) => {
      const { value, version, expiresAt } = table.entry(key)!;
      return [key, [String(value), version, expiresAt]];
    }),
  );
}

testWith(
  ["read", "write", "env"],
  "a restored backup has each key, value, version and expiry",
  () => {
    const runs = numberFrom("KEYLINE_FUZZ_RUNS", 3);
    const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
    console.log(`KEYLINE_FUZZ_SEED=${seed}`);
    for (let run = 0; run < runs; run++) {
      using copied = new Copied(seed + run);
      for (let i = 0; i < 40 * run; i++) copied.step(run === 1 ? 100 : 20_000);
      copied.backUp();
      assertEquals(copied.restoredState(), new Map(copied.states.at(-1)!));
    }
  },
);

testWith(
  ["read", "write"],
  "a backup beside a table that writes and compacts is of one moment",
  () => {
    for (let run = 0; run < 3; run++) {
      using copied = new Copied(run);
      for (let i = 0; i < 120; i++) copied.step(60_000);
      const first = copied.states.length - 1;
      let steps = 0;
      copied.backUp(() => {
        steps++;
        for (let i = 0; i < 60; i++) copied.step(60_000);
      });
      assert(steps > 0 && copied.table.stats().compacted_bytes! > 0);
      const state = JSON.stringify([...copied.restoredState()]);
      const moments = copied.states.map((each) => JSON.stringify([...each].toSorted(byKey)));
      assert(moments.indexOf(state, first) >= 0, "it never held this");
      // What was held for the copy is used again.
      maintainAll(copied.table);
      copied.table.check();
    }
  },
);

function byKey([a]: [string, Stored], [b]: [string, Stored]): number {
  return a < b ? -1 : 1;
}

testWith(["read", "write"], "a backup of a damaged table is refused, and leaves no file", () => {
  using copied = new Copied(1);
  for (let i = 0; i < 60; i++) copied.step(20_000);
  maintainAll(copied.table);
  const path = `${copied.folder}/keyline.log`;
  const log = Deno.readFileSync(path);
  let refused = 0;
  for (let at = 20_000; at < log.length; at += SLOT_BYTES) {
    const damaged = log.slice();
    damaged[at]! ^= 1;
    Deno.writeFileSync(path, damaged);
    try {
      copied.backUp();
      assertEquals(copied.restoredState(), new Map(copied.states.at(-1)!));
      Deno.removeSync(copied.backup);
      Deno.removeSync(copied.restored, { recursive: true });
    } catch (error) {
      assert(error instanceof OpenError && error.message.includes(path), String(error));
      refused++;
    }
    assertEquals(copied.names(), ["data"]);
  }
  Deno.writeFileSync(path, log);
  assert(refused > 3, `only ${refused} were refused`);
});

testWith(["read", "write"], "a copy that is cut short leaves no file", () => {
  using copied = new Copied(1);
  for (let i = 0; i < 120; i++) copied.step(60_000);
  const cutShort = () => {
    throw new Error("cut short");
  };
  assertThrows(() => copied.backUp(cutShort), Error, "cut short");
  assertEquals(copied.names(), ["data"]);
});

testWith(["read", "write"], "no file is overwritten by a copy", () => {
  using copied = new Copied(1);
  copied.step(100);
  Deno.writeTextFileSync(copied.backup, "precious");
  assertThrows(() => copied.backUp(), OpenError);
  assertEquals(Deno.readTextFileSync(copied.backup), "precious");
  Deno.removeSync(copied.backup);
  copied.backUp();
  Deno.mkdirSync(copied.restored);
  Deno.writeTextFileSync(`${copied.restored}/notes`, "precious");
  assertThrows(() => copy(restore, [copied.backup, copied.restored]), OpenError);
  assertEquals([...Deno.readDirSync(copied.restored)].map(({ name }) => name), ["notes"]);
});
