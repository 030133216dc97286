/**
 * A durable table on a disk in memory, beside a Map of what it must hold: random turns, work of its own, and
 * restarts, for tests that cut the power or let the disk fail meanwhile.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Report } from "../../../tables/report.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import type { TableError } from "../../../tables/table.ts";
import type { Draw } from "../../support/draw.ts";
import type { FakeDisk } from "./fake_disk.ts";
import { ALL, maintainAll } from "./table_in_folder.ts";

/** The folder of the table. */
export const FOLDER = "data";
export const LOG = `${FOLDER}/keyline.log`;
export const STATE = `${FOLDER}/keyline.state`;
/** The time at which a run begins, in milliseconds since 1970. */
const BEGIN = 1_000_000;

/** What is stored under a key. */
export interface Stored {
  readonly value: string;
  readonly version: number;
  readonly expiresAt: number | null;
}

/** All that a table holds, expired keys included. */
export type State = ReadonlyMap<string, Stored>;

/** What a table may hold after a crash. */
export interface Candidates {
  /** One of these. */
  readonly states: readonly State[];
  /** Where keys may have been removed that had expired by then; undefined where none may. */
  readonly sweptAt: number | undefined;
}

/** How a table is opened. */
export interface RunOptions {
  readonly slotBytes: number;
  readonly cacheBytes: number;
  /** Is told what the table reports; where it is left out, damage fails the test. */
  readonly report?: Report;
}

/** Options that a seed chooses. */
export function drawOptions(draw: Draw): RunOptions {
  return {
    slotBytes: [512, 1_024, 4_096][draw(3)]!,
    cacheBytes: [0, 1_000, 10_000_000][draw(3)]!,
  };
}

/** A table and what it must hold. */
export class TableRun {
  readonly disk: FakeDisk;
  readonly options: RunOptions;
  readonly #draw: Draw;
  readonly #keys: string[];
  table: DurableTable;
  /** What was acknowledged. */
  committed: State;
  /** What a crash may leave now. */
  candidates: Candidates;
  now: number;

  /** Opens a table that holds one of these states. Fails if it holds another one. */
  constructor(disk: FakeDisk, { draw, options, candidates, now = BEGIN }: {
    draw: Draw;
    options: RunOptions;
    candidates: Candidates;
    now?: number;
  }) {
    this.disk = disk;
    this.options = options;
    this.#draw = draw;
    this.now = now;
    this.candidates = candidates;
    this.#keys = Array.from({ length: [3, 12, 40][draw(3)]! }, (_, i) => `${"ab"[draw(2)]}${i}`);
    this.table = this.#open();
    this.committed = this.#settle();
  }

  /** Does a turn, some of the work that waits, or a restart. */
  step(): void {
    const kind = this.#draw(100);
    if (kind < 70) this.turn();
    else if (kind < 92) { for (let i = this.#draw(4); i >= 0; i--) this.maintain(); }
    else if (kind < 96) this.now += this.#draw(40);
    else this.reopen();
  }

  /** A turn of random changes, with an undo now and then, and its commit. */
  turn(): void {
    const state = new Map(this.committed);
    for (let i = 1 + this.#draw(4); i > 0; i--) {
      if (this.#draw(12) > 0) {
        this.#change(state);
        continue;
      }
      const mark = this.table.mark();
      this.#change(new Map(state));
      this.table.undo(mark);
    }
    this.commit(state);
  }

  /** Commits what brings the table to this state. */
  commit(state: State): void {
    this.candidates = { states: [this.committed, state], sweptAt: undefined };
    try {
      this.table.commit();
    } catch (error) {
      // Unless it is fatal, the turn is undone.
      if (!(error as TableError).fatal) this.#acknowledge(this.committed);
      throw error;
    }
    this.#acknowledge(state);
    this.table.check();
  }

  /** A step of the table's own work, which may remove keys that have expired. */
  maintain(work: (table: DurableTable) => void = (table) => table.maintain()): void {
    this.candidates = { states: [this.committed], sweptAt: this.now };
    work(this.table);
    this.settle();
  }

  /** All the work that waits. */
  maintainAll(): void {
    this.maintain(maintainAll);
  }

  /** A clean stop, and a start. */
  reopen(): void {
    this.table.close();
    this.restart();
  }

  /** A start on what the last process left. */
  restart(): void {
    this.table = this.#open();
    this.settle();
  }

  /** Finds out which of the candidates the table holds, where it should go on with that. */
  settle(): void {
    this.#acknowledge(this.#settle());
    this.table.check();
  }

  /** Stores a value in a turn of its own. */
  put(key: string, value: string): void {
    const version = this.table.put(key, value);
    this.commit(new Map([...this.committed, [key, { value, version, expiresAt: null }]]));
  }

  /** Removes a key in a turn of its own. */
  delete(key: string): void {
    this.table.delete(key);
    const state = new Map(this.committed);
    state.delete(key);
    this.commit(state);
  }

  #open(): DurableTable {
    const { disk, options } = this;
    return new DurableTable(FOLDER, {
      report: failOnDamage,
      ...options,
      now: () => this.now,
      disk,
    });
  }

  /** Which of the candidates the table holds. */
  #settle(): State {
    const found = this.find();
    const { states, sweptAt } = this.candidates;
    const isHeld = (state: State) => differenceOf(found, state, sweptAt) === undefined;
    const held = states.find(isHeld);
    if (held !== undefined) return found;
    assertEquals(differenceOf(found, states.at(-1)!, sweptAt), undefined);
    throw new Error("unreachable");
  }

  /** All that the table holds, expired keys included. */
  find(): State {
    const { now } = this;
    this.now = 0;
    try {
      const found = new Map<string, Stored>();
      for (const key of this.table.keys(ALL).keys) {
        const { value, version, expiresAt } = this.table.entry(key)!;
        found.set(key, { value: String(value), version, expiresAt });
      }
      assertEquals(this.table.count(), found.size);
      return found;
    } finally {
      this.now = now;
    }
  }

  #acknowledge(state: State): void {
    this.committed = state;
    this.candidates = { states: [state], sweptAt: undefined };
  }

  #change(state: Map<string, Stored>): void {
    const key = this.#keys[this.#draw(this.#keys.length)]!;
    const kind = this.#draw(100);
    const expiresAt = this.#draw(4) === 0 ? this.now + this.#draw(60) : null;
    if (kind < 60) {
      const length = [
        8,
        40,
        200,
        3 * this.options.slotBytes,
      ][[0, 0, 0, 1, 1, 1, 2, 2, 3][this.#draw(9)]!]!;
      const value = `${key}/${"x".repeat(1 + this.#draw(length))}`;
      state.set(key, { value, version: this.table.put(key, value, { expiresAt }), expiresAt });
    } else if (kind < 80) {
      this.table.delete(key);
      state.delete(key);
    } else if (kind < 97) {
      const stored = state.get(key);
      const isThere = stored !== undefined &&
        (stored.expiresAt === null || stored.expiresAt > this.now);
      assertEquals(this.table.expire(key, expiresAt), isThere);
      if (isThere) state.set(key, { ...stored, expiresAt });
    } else {
      this.table.clear();
      state.clear();
    }
  }
}

const failOnDamage: Report = (_, event, details) => {
  if (/damage|compact/.test(event)) throw new Error(event, { cause: details });
};

/** A key that differs between what was found and what should be; undefined if there is none. */
export function differenceOf(
  found: State,
  expected: State,
  sweptAt?: number,
): { key: string; found: Stored | undefined; expected: Stored | undefined } | undefined {
  for (const key of new Set([...found.keys(), ...expected.keys()])) {
    const [a, b] = [found.get(key), expected.get(key)];
    if (a === undefined && b !== undefined && sweptAt !== undefined) {
      if (b.expiresAt !== null && b.expiresAt <= sweptAt) continue;
    }
    const isSame = a !== undefined && b !== undefined && a.value === b.value &&
      a.version === b.version && a.expiresAt === b.expiresAt;
    if (!isSame) return { key, found: a, expected: b };
  }
  return undefined;
}
