/**
 * Moves changes from the log to the rows, in the order of the log and a bounded step at a time, so that the
 * log's segments can be used again.
 *
 * Only the newest change of a key is moved; where a later one stands in the log, the earlier has nothing to
 * move, so that keys that change all the time cost no row at all.
 *
 * @module
 */

import { FLAG, NO_REF } from "../flat/record.ts";
import type { FlatStore } from "../flat/flat_store.ts";
import { KIND, type NumberedChange, sizeOfChange } from "./change.ts";
import { tableError } from "./errors.ts";
import type { ExpiredRows } from "./expired_rows.ts";
import type { Log } from "./log.ts";
import type { Parity } from "./log_segment.ts";
import type { Rows } from "./rows.ts";

/** How many rows are removed at a time before their turn. */
const EARLY_ROWS = 64;
/** A record with one of these flags differs from its row. */
export const DIRTY: number = FLAG.DIRTY_0 | FLAG.DIRTY_1;

/** What marks a record whose newest change is in this segment of the log, and in no row. */
export function dirtyFlag(parity: Parity): number {
  return parity === 0 ? FLAG.DIRTY_0 : FLAG.DIRTY_1;
}

/** What the mover works on. */
export interface MoverParts {
  /** What knows the newest change of each key. */
  readonly store: FlatStore;
  /** Where changes come from. */
  readonly log: Log;
  /** Where they go. */
  readonly rows: Rows;
  /** What counts the rows that have expired. */
  readonly expiredRows: ExpiredRows;
  /** The last version that was given. */
  readonly version: () => number;
  /** Makes sure that the disk has room for what a transaction has added. Throws DiskFullError. */
  readonly claimGrowth: () => void;
}

/** Moves the sealed segment of a log. */
export class Mover {
  readonly #parts: MoverParts;
  /** The number of the newest CLEAR that is committed and not moved; 0 without one. */
  #clearedAt = 0;

  /** Nothing is moved before `step`. */
  constructor(parts: MoverParts) {
    this.#parts = parts;
  }

  /** Whether a CLEAR is committed that the rows have not seen: none of them counts. */
  get isClearPending(): boolean {
    return this.#clearedAt > 0;
  }

  /** Takes note of a committed CLEAR. */
  noteClear(number: number): void {
    this.#clearedAt = number;
  }

  /**
   * Lets a committed CLEAR remove the rows before its turn in the log comes; false without one. What the log
   * has before it is void by then, and what it has after it never knew of these rows. Throws TableError.
   */
  clearEarly(): boolean {
    if (!this.isClearPending) return false;
    this.#parts.rows.transaction(() => this.#parts.rows.clear());
    this.#noteCleared(this.#clearedAt);
    return true;
  }

  /**
   * Removes some rows whose keys have been deleted before their turn in the log comes, where a full disk
   * leaves no room to go in order; false where there are none. Throws TableError.
   */
  deleteEarly(): boolean {
    const { store, rows, log } = this.#parts;
    const refs = store.hidingRefs(EARLY_ROWS);
    if (refs.length === 0) return false;
    rows.transaction(() => {
      for (const ref of refs) rows.delete(store.keyOf(ref));
      rows.setUnsure(log.lastChange);
    });
    for (const ref of refs) store.remove(ref);
    return true;
  }

  /** Moves about so many bytes of the log; false where nothing waits. Throws TableError. */
  step(bytes: number): boolean {
    const sealed = this.#parts.log.sealed();
    if (sealed === undefined) return false;
    const { log, store, rows } = this.#parts;
    if (rows.state.flushed < sealed.lastChange) {
      try {
        if (store.dirtyCount(sealed.parity) === 0) this.#skip(sealed.lastChange);
        else this.#move(bytes, sealed);
      } catch (error) {
        log.rewindSealed(); // What was read back is not moved.
        throw error;
      }
    }
    if (rows.state.flushed >= sealed.lastChange) {
      rows.endMoves(); // Until now a power cut could take back what was moved, and the log had it still.
      log.releaseSealed();
    }
    return true;
  }

  /** Takes the whole segment as moved: each of its keys has a newer change. */
  #skip(lastChange: number): void {
    this.#parts.rows.move(() => {
      this.#clearUpTo(lastChange);
      this.#setFlushed(lastChange);
    });
    this.#noteCleared(lastChange);
  }

  #move(bytes: number, { parity, lastChange }: { parity: Parity; lastChange: number }): void {
    const { log, rows } = this.#parts;
    const refs: number[] = [];
    let flushed = rows.state.flushed;
    rows.move(() => {
      for (let left = bytes; left > 0;) {
        const change = log.nextSealed(flushed);
        if (change === undefined) {
          flushed = lastChange;
          break;
        }
        flushed = change.number;
        left -= sizeOfChange(change);
        if (change.kind === KIND.CLEAR) this.#clearUpTo(change.number);
        const ref = change.kind === KIND.CLEAR ? NO_REF : this.#newest(change, parity);
        if (ref === NO_REF) continue;
        this.#moveRow(ref);
        refs.push(ref);
      }
      if (flushed >= lastChange) this.#checkAllMoved(parity, refs.length);
      this.#setFlushed(flushed);
      this.#parts.claimGrowth();
    });
    this.#noteCleared(flushed);
    for (const ref of refs) this.#noteMoved(ref, parity);
  }

  /** At the end of a segment: what it does not give back must not be lost with it. Throws TableError. */
  #checkAllMoved(parity: Parity, moved: number): void {
    const missing = this.#parts.store.dirtyCount(parity) - moved;
    if (missing === 0) return;
    throw tableError(new Error(`the log lacks ${missing} changes that were written to it`));
  }

  /** The record of a change, where it is the newest of its key. */
  #newest({ key, number }: NumberedChange, parity: Parity): number {
    const { store } = this.#parts;
    const ref = store.find(key);
    // A clean record may keep a number of long ago: only those of dirty ones are unique in their 32 bits.
    if (ref === NO_REF || (store.flagsOf(ref) & dirtyFlag(parity)) === 0) return NO_REF;
    return store.hasNumber(ref, number) ? ref : NO_REF;
  }

  #moveRow(ref: number): void {
    const { store, rows } = this.#parts;
    const key = store.keyOf(ref);
    const isInRows = (store.flagsOf(ref) & FLAG.IN_ROWS) !== 0;
    if (store.isLive(ref)) {
      rows.put(key, {
        value: store.valueOf(ref),
        version: store.versionOf(ref),
        expiresAt: store.expiresAtOf(ref),
        isNew: !isInRows,
      });
    } else if (isInRows) {
      rows.delete(key);
    }
  }

  /** The record is what its row is, from now on. */
  #noteMoved(ref: number, parity: Parity): void {
    const { store, expiredRows } = this.#parts;
    if (!store.isLive(ref)) return store.remove(ref);
    expiredRows.note(store.expiresAtOf(ref), 1);
    store.setFlags(ref, (store.flagsOf(ref) & ~dirtyFlag(parity)) | FLAG.IN_ROWS);
  }

  /** Within a transaction: what a CLEAR up to this change removes. Only the newest one counts. */
  #clearUpTo(number: number): void {
    if (this.#clearedAt > 0 && this.#clearedAt <= number) this.#parts.rows.clear();
  }

  #noteCleared(flushed: number): void {
    if (this.#clearedAt === 0 || this.#clearedAt > flushed) return;
    this.#clearedAt = 0;
    this.#parts.expiredRows.reset();
  }

  #setFlushed(flushed: number): void {
    const { rows, log, version } = this.#parts;
    rows.setFlushed({ flushed, turn: log.turn, version: version() });
  }
}
