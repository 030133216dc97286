/**
 * Moves changes from the log to the rows, in the order of the log and in bounded steps, so that the segments
 * of the log can be reused.
 *
 * A change is moved only if it is the newest of its key, so that keys which change all the time take no
 * writes to rows at all. Where only a few changes of a segment are, they are found in the store, and the log
 * is not read.
 *
 * @module
 */

import { dirtyFlag, FLAG, NO_REF } from "../flat/record.ts";
import type { FlatStore } from "../flat/flat_store.ts";
import { KIND, type NumberedChange, sizeOfChange } from "./change.ts";
import { tableError } from "./errors.ts";
import type { ExpiredRows } from "./expired_rows.ts";
import type { Log } from "./log.ts";
import type { Parity } from "./log_segment.ts";
import type { Rows } from "./rows.ts";

/** How many rows `deleteEarly` removes at a time. */
const EARLY_ROWS = 64;
/** So few records of a segment are moved at once, if the store is no larger than this to search, in bytes. */
const [FEW_RECORDS, SEARCHED_BYTES_MAX] = [1_024, 8_388_608];

/** What the mover works on. */
export interface MoverParts {
  /** Has the newest change of each key. */
  readonly store: FlatStore;
  /** Where changes come from. */
  readonly log: Log;
  /** Where they go. */
  readonly rows: Rows;
  /** Counts the rows that have expired. */
  readonly expiredRows: ExpiredRows;
  /** Returns the last version that was given. */
  readonly version: () => number;
  /** Claims the disk space that a transaction needs. Throws DiskFullError. */
  readonly claimGrowth: () => void;
}

/** Moves the sealed segment of a log. */
export class Mover {
  readonly #parts: MoverParts;
  /** The number of the newest committed CLEAR that has not been moved; 0 if there is none. */
  #clearedAt = 0;

  /** Nothing is moved before `step`. */
  constructor(parts: MoverParts) {
    this.#parts = parts;
  }

  /** Whether a committed CLEAR has not been moved: then no row counts. */
  get isClearPending(): boolean {
    return this.#clearedAt > 0;
  }

  /** Notes a committed CLEAR. */
  noteClear(number: number): void {
    this.#clearedAt = number;
  }

  /**
   * Applies a committed CLEAR to the rows ahead of its place in the log; false if there is none. The changes
   * before it no longer count, and those after it never saw these rows. Throws TableError.
   */
  clearEarly(): boolean {
    if (!this.isClearPending) return false;
    this.#parts.rows.transaction(() => this.#parts.rows.clear());
    this.#noteCleared(this.#clearedAt);
    return true;
  }

  /**
   * Removes some rows whose keys were deleted, ahead of the deletions' place in the log, because a full disk
   * has no room for moves in order; false if there are none. Throws TableError.
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

  /** Moves about this many bytes of the log; false if nothing waits. Throws TableError. */
  step(bytes: number): boolean {
    const sealed = this.#parts.log.sealed();
    if (sealed === undefined) return false;
    const { log, rows } = this.#parts;
    if (rows.state.flushed < sealed.lastChange) {
      try {
        const refs = this.#fewLeft(bytes, sealed.parity);
        if (refs !== undefined) this.#moveAll(refs, sealed);
        else this.#move(bytes, sealed);
      } catch (error) {
        log.rewindSealed(); // What was read has not been moved.
        throw error;
      }
    }
    if (rows.state.flushed >= sealed.lastChange) {
      rows.endMoves(); // A power cut may undo moves only while the log still holds their changes.
      log.releaseSealed();
    }
    return true;
  }

  /**
   * The records whose newest change is in the segment, where they are few, and found in the store sooner than in
   * the log; otherwise undefined.
   */
  #fewLeft(bytes: number, parity: Parity): readonly number[] | undefined {
    const { store } = this.#parts;
    const count = store.dirtyCount(parity);
    if (count === 0) return [];
    if (count > FEW_RECORDS || store.bytes > SEARCHED_BYTES_MAX) return undefined;
    return store.dirtyRefs(parity, bytes);
  }

  /** Moves these records, the last of their segment, and counts all of it as moved. */
  #moveAll(
    refs: readonly number[],
    { parity, lastChange }: { parity: Parity; lastChange: number },
  ): void {
    this.#parts.rows.move(() => {
      this.#clearUpTo(lastChange);
      for (const ref of refs) this.#moveRow(ref);
      this.#setFlushed(lastChange);
      if (refs.length > 0) this.#parts.claimGrowth();
    });
    this.#noteCleared(lastChange);
    for (const ref of refs) this.#noteMoved(ref, parity);
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

  /** Checks, at the end of a segment, that nothing which it should hold was missing. Throws TableError. */
  #checkAllMoved(parity: Parity, moved: number): void {
    const missing = this.#parts.store.dirtyCount(parity) - moved;
    if (missing === 0) return;
    throw tableError(new Error(`the log lacks ${missing} changes that were written to it`));
  }

  /** The record of a change, if it is the newest of its key; otherwise NO_REF. */
  #newest({ key, number }: NumberedChange, parity: Parity): number {
    const { store } = this.#parts;
    const ref = store.find(key);
    // A clean record may keep an old number: the 32 bits are unique only among dirty ones.
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

  /** Notes that a record is now the same as its row. */
  #noteMoved(ref: number, parity: Parity): void {
    const { store, expiredRows } = this.#parts;
    if (!store.isLive(ref)) return store.remove(ref);
    expiredRows.note(store.expiresAtOf(ref), 1);
    store.setFlags(ref, (store.flagsOf(ref) & ~dirtyFlag(parity)) | FLAG.IN_ROWS);
  }

  /** Removes, within a transaction, what a CLEAR up to this change removes. Only the newest CLEAR counts. */
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
