/**
 * Removes what has expired, and what CLEAR has left behind, a bounded step at a time. Nothing of it is
 * logged: what has expired is absent for everyone, removed or not.
 *
 * @module
 */

import { FLAG, NO_REF } from "../flat/record.ts";
import type { FlatStore } from "../flat/flat_store.ts";
import { Text } from "../text.ts";
import type { ExpiredRows } from "./expired_rows.ts";
import type { ExpiringRow, Rows } from "./rows.ts";

/** How much a step takes on: keys, and milliseconds. */
const STEP_KEYS = 256;
const STEP_MS = 3;

/** Before all rows that expire. */
const START: ExpiringRow = { expiresAt: 0, key: Text.of("") };

/** What the sweeper works on. */
export interface SweeperParts {
  /** Entries that may have expired. */
  readonly store: FlatStore;
  /** Rows that may have. */
  readonly rows: Rows;
  /** What counts those. */
  readonly expiredRows: ExpiredRows;
}

/** Removes expired entries of a table. */
export class Sweeper {
  readonly #parts: SweeperParts;
  /** The row after which the search for expired ones goes on. */
  #place: ExpiringRow = START;
  /** How many entries it has removed since the start. */
  removedInAll = 0;

  /** Nothing is removed before `step`. */
  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /**
   * Removes some entries that have expired at `now`, in milliseconds since 1970; returns how many. Rows that
   * a CLEAR hides are left to `removeOld`. Throws TableError.
   */
  step(now: number, { hidden }: { hidden: boolean }): number {
    let removed = this.#sweepStore(now);
    if (removed === 0 && !hidden) removed = this.#sweepRows(now);
    this.removedInAll += removed;
    return removed;
  }

  /** Removes some rows of earlier generations; false where none are left. Throws TableError. */
  removeOld(): boolean {
    return this.#parts.rows.removeOld(performance.now() + STEP_MS);
  }

  #sweepStore(now: number): number {
    const { store } = this.#parts;
    const refs = store.expiredRefs(now, STEP_KEYS);
    for (const ref of refs) {
      const flags = store.flagsOf(ref);
      // A row beneath it must stay hidden until the mover removes it.
      if ((flags & FLAG.IN_ROWS) !== 0) store.setFlags(ref, flags | FLAG.TOMBSTONE);
      else store.remove(ref);
    }
    return refs.length;
  }

  #sweepRows(now: number): number {
    const { store, rows, expiredRows } = this.#parts;
    const expired = this.#nextExpired(now);
    if (expired.length === 0) return 0;
    expiredRows.countAt(now); // So that each of them is counted, and then no more.
    const removed: Text[] = [];
    rows.transaction(() => {
      const until = performance.now() + STEP_MS;
      for (const key of expired) {
        rows.delete(key);
        removed.push(key);
        if (performance.now() > until) break;
      }
    });
    for (const key of removed) {
      expiredRows.note(now, -1);
      const ref = store.find(key);
      if (ref !== NO_REF) store.remove(ref);
    }
    return removed.length;
  }

  /**
   * The keys of some rows that have expired and that no newer change hides. Those that one does hide are
   * left to the mover, and passed by, however many there are: the search goes on where it ended.
   */
  #nextExpired(now: number): Text[] {
    const { rows } = this.#parts;
    const until = performance.now() + STEP_MS;
    for (;;) {
      const found = [...rows.expiring({ after: this.#place, until: now, limit: STEP_KEYS })];
      const expired = found.map(({ key }) => key).filter((key) =>
        !this.#parts.expiredRows.isHidden(key)
      );
      // What is removed makes no difference to what comes after it. At the end, from the start again.
      this.#place = found.length < STEP_KEYS ? START : found.at(-1)!;
      if (expired.length > 0 || this.#place === START || performance.now() > until) return expired;
    }
  }
}
