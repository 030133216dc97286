/**
 * Removes what has expired, and the rows that CLEAR has left behind, in bounded steps. None of this is
 * logged, because what has expired is absent for everyone anyway.
 *
 * @module
 */

import { FLAG, NO_REF } from "../flat/record.ts";
import type { FlatStore } from "../flat/flat_store.ts";
import { Text } from "../text.ts";
import type { ExpiredRows } from "./expired_rows.ts";
import type { ExpiringRow, Rows } from "./rows.ts";

// The limits of a step.
const STEP_KEYS = 256;
const STEP_MS = 3;

/** Precedes all rows that expire. */
const START: ExpiringRow = { expiresAt: 0, key: Text.of("") };

/** What the sweeper works on. */
export interface SweeperParts {
  /** Has entries that may have expired. */
  readonly store: FlatStore;
  /** Have rows that may have expired. */
  readonly rows: Rows;
  /** Counts those rows. */
  readonly expiredRows: ExpiredRows;
}

/** Removes the expired entries of a table. */
export class Sweeper {
  readonly #parts: SweeperParts;
  /** The row after which the search for expired rows goes on. */
  #place: ExpiringRow = START;
  /** How many entries it has removed since the start. */
  removedInAll = 0;

  /** Removes nothing by itself. */
  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /**
   * Removes some entries that have expired at `now`, in milliseconds since 1970, and returns how many. If a
   * CLEAR hides the rows, `removeOld` will remove them. Throws TableError.
   */
  step(now: number, { hidden }: { hidden: boolean }): number {
    let removed = this.#sweepStore(now);
    if (removed === 0 && !hidden) removed = this.#sweepRows(now);
    this.removedInAll += removed;
    return removed;
  }

  /** Removes some rows of earlier generations; false if none are left. Throws TableError. */
  removeOld(): boolean {
    return this.#parts.rows.removeOld(performance.now() + STEP_MS);
  }

  #sweepStore(now: number): number {
    const { store } = this.#parts;
    const refs = store.expiredRefs(now, STEP_KEYS);
    for (const ref of refs) {
      const flags = store.flagsOf(ref);
      // If there is a row, the record must hide it until the mover removes it.
      if ((flags & FLAG.IN_ROWS) !== 0) store.setFlags(ref, flags | FLAG.TOMBSTONE);
      else store.remove(ref);
    }
    return refs.length;
  }

  #sweepRows(now: number): number {
    const { store, rows, expiredRows } = this.#parts;
    const expired = this.#nextExpired(now);
    if (expired.length === 0) return 0;
    expiredRows.countAt(now); // So that each of them is in the count before it leaves it.
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
   * The keys of some rows that have expired and that no newer change hides. The mover sees to the hidden
   * ones. As there may be any number of those, the search continues where it stopped.
   */
  #nextExpired(now: number): Text[] {
    const { rows } = this.#parts;
    const until = performance.now() + STEP_MS;
    for (;;) {
      const found = [...rows.expiring({ after: this.#place, until: now, limit: STEP_KEYS })];
      const expired = found.map(({ key }) => key).filter((key) =>
        !this.#parts.expiredRows.isHidden(key)
      );
      // Removing rows does not affect those after them. At the end, start again.
      this.#place = found.length < STEP_KEYS ? START : found.at(-1)!;
      if (expired.length > 0 || this.#place === START || performance.now() > until) return expired;
    }
  }
}
