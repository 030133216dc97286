/**
 * The entries of a durable table: a flat store with the newest change of each key, laid over the rows. A
 * change goes to the store and to the log's turn at once; this file counts the keys and undoes turns.
 *
 * @module
 */

import type { FlatStore } from "../flat/flat_store.ts";
import { DIRTY, dirtyFlag, FLAG, NO_REF } from "../flat/record.ts";
import type { Clock } from "../table.ts";
import { compareTexts, startsWith, Text } from "../text.ts";
import { KIND } from "./change.ts";
import type { ExpiredRows } from "./expired_rows.ts";
import type { Log } from "./log.ts";
import type { ReplayedChange } from "./log_replay.ts";
import type { Mover } from "./mover.ts";
import type { Rows } from "./rows.ts";
import { UndoStack } from "./undo_stack.ts";

/** How many changes are replayed between two commits of the flat store. */
const REPLAY_CHANGES = 1_024;
const NOTHING = Text.of("");

/** What an overlay works on. */
export interface OverlayParts {
  /** Holds the newest changes, and rows that were read recently. */
  readonly store: FlatStore;
  /** Makes changes durable. */
  readonly log: Log;
  /** Hold everything else. */
  readonly rows: Rows;
  /** Counts the rows that have expired. */
  readonly expiredRows: ExpiredRows;
  /** Knows whether a CLEAR hides the rows. */
  readonly mover: Mover;
  /** The time by which keys expire. */
  readonly now: Clock;
}

/** A range of keys. */
export interface Range {
  /** What each of them begins with. */
  readonly prefix: Text;
  /** They come after this key; empty for all. */
  readonly after: Text;
}

/** The entries of a durable table. */
export class Overlay {
  readonly #parts: OverlayParts;
  readonly #store: FlatStore;
  readonly #log: Log;
  readonly #undo = new UndoStack();
  /** The number of keys, including those that have expired and are not removed yet. */
  #keys = 0;
  /** The number of the turn's last CLEAR; 0 if there is none. */
  #clearedAt = 0;
  /** The last version that was given. */
  version = 0;
  /** How many look-ups found their key in the store. */
  hits = 0;
  /** How many had to look in the rows. */
  misses = 0;

  /** Creates an empty overlay, for `replay` to fill. */
  constructor(parts: OverlayParts) {
    this.#parts = parts;
    this.#store = parts.store;
    this.#log = parts.log;
  }

  /** Whether a CLEAR hides the rows, which have not been cleared yet. */
  get areRowsHidden(): boolean {
    return this.#clearedAt > 0 || this.#parts.mover.isClearPending;
  }

  /** The record of a key that is present and has not expired; otherwise NO_REF. Throws TableError. */
  find(key: Text): number {
    let ref = this.#store.find(key);
    if (ref === NO_REF) {
      ref = this.#load(key);
      if (ref === NO_REF) return NO_REF;
    } else {
      this.hits++;
      this.#store.touch(ref);
    }
    return this.#store.isVisible(ref, this.#parts.now) ? ref : NO_REF;
  }

  /** Stores a value under a key, or removes the key if it is undefined. Throws TableError. */
  change(
    key: Text,
    value: Text | undefined,
    { version, expiresAt }: { version: number; expiresAt: number },
  ): void {
    const { isStored, isInRows, rowExpiresAt } = this.#stateOf(key);
    if (!isStored && value === undefined) return;
    this.#pushUndo();
    const number = this.#log.nextNumber;
    const kind = value === undefined ? KIND.DELETE : KIND.PUT;
    this.#log.add({ kind, isInRows, key, value: value ?? NOTHING, version, expiresAt });
    const dirty = dirtyFlag(this.#log.active);
    const flags = isInRows ? dirty | FLAG.IN_ROWS : dirty;
    this.#store.write(key, value, { version, expiresAt, flags, number });
    this.#keys += Number(value !== undefined) - Number(isStored);
    this.#parts.expiredRows.note(rowExpiresAt, -1);
  }

  /** Removes every key. */
  clear(): void {
    if (this.#keys === 0) return;
    this.#pushUndo();
    const number = this.#log.nextNumber;
    const change = { kind: KIND.CLEAR, isInRows: false, key: NOTHING, value: NOTHING };
    this.#log.add({ ...change, version: 0, expiresAt: 0 });
    this.#store.clear();
    this.#keys = 0;
    this.#clearedAt = number;
  }

  /** The number of keys. Throws TableError. */
  count(): number {
    const now = this.#parts.now();
    const expiredRows = this.areRowsHidden ? 0 : this.#parts.expiredRows.countAt(now);
    return this.#keys - this.#store.expiredCount(now) - expiredRows;
  }

  /** Notes that expired keys were removed. */
  noteSwept(count: number): void {
    this.#keys -= count;
  }

  /** The keys of a range in order, merged from the store and the rows. Throws TableError. */
  *keys(range: Range): Generator<Text, undefined> {
    const now = this.#parts.now();
    const stored = this.#storedKeys(range, now);
    const rows = this.#rowKeys(range, now);
    try {
      let [a, b] = [stored.next(), rows.next()];
      while (!a.done || !b.done) {
        if (!a.done && (b.done || compareTexts(a.value, b.value) < 0)) {
          yield a.value;
          a = stored.next();
        } else {
          yield b.value!;
          b = rows.next();
        }
      }
    } finally {
      rows.return(undefined); // Resets the statement.
    }
  }

  /** A savepoint for `undo`: the number of changes in the turn. */
  mark(): number {
    return this.#undo.length;
  }

  /** Undoes every change since the mark. */
  undo(mark: number): void {
    if (this.#undo.length <= mark) return;
    const before = this.#undo.backTo(mark);
    this.#store.undo(before.store);
    this.#log.undo(before);
    this.#keys = before.keys;
    this.#clearedAt = before.clearedAt;
    this.#parts.expiredRows.reset();
  }

  /** Makes the changes of the turn final, once the log has made them durable. */
  commit(): void {
    this.#store.commit();
    this.#undo.clear();
    if (this.#clearedAt > 0) this.#parts.mover.noteClear(this.#clearedAt);
    this.#clearedAt = 0;
  }

  /** Whether the newest change of a key is not in a row. */
  isDirty(key: Text): boolean {
    const ref = this.#store.find(key);
    return ref !== NO_REF && (this.#store.flagsOf(ref) & DIRTY) !== 0;
  }

  /** Replays the log at the start, and returns how many changes it held. Throws OpenError. */
  replay(): number {
    const { count, version } = this.#parts.rows.state;
    this.#keys = count;
    this.version = version;
    let replayed = 0;
    for (const change of this.#log.replay()) {
      this.version = Math.max(this.version, change.version);
      if (change.kind === KIND.CLEAR) {
        this.#store.clear();
        this.#keys = 0;
        this.#parts.mover.noteClear(change.number);
      } else {
        this.#replayChange(change);
      }
      if (++replayed % REPLAY_CHANGES === 0) this.#store.commit();
    }
    this.#store.commit();
    this.#log.prepare();
    return replayed;
  }

  #replayChange(change: ReplayedChange): void {
    const { key, version, expiresAt, number } = change;
    const value = change.kind === KIND.PUT ? change.value : undefined;
    const before = this.#store.find(key);
    const isInRows = this.#isInRows(change, before);
    const wasStored = before === NO_REF ? isInRows : this.#store.isLive(before);
    const dirty = dirtyFlag(change.parity);
    const flags = isInRows ? dirty | FLAG.IN_ROWS : dirty;
    this.#store.write(key, value, { version, expiresAt, number, flags });
    this.#keys += Number(value !== undefined) - Number(wasStored);
  }

  /**
   * Whether the key of a replayed change has a row. An earlier change of the key in the log knows. Otherwise the
   * change says whether the key had one when it was made, but that is not sure to hold: a full disk has rows
   * removed early, and a power cut undoes moves that are not durable.
   */
  #isInRows({ key, isInRows, number, turn }: ReplayedChange, before: number): boolean {
    if (before !== NO_REF) return (this.#store.flagsOf(before) & FLAG.IN_ROWS) !== 0;
    if (this.#parts.mover.isClearPending) return false;
    const { unsure, moving, turn: movedAt } = this.#parts.rows.state;
    const isSure = number > unsure && (moving === 0 || turn <= movedAt);
    return isSure ? isInRows : this.#parts.rows.expiryOf(key) !== undefined;
  }

  /** Loads the row of a key into the store. */
  #load(key: Text): number {
    if (!this.#mayHaveRow()) return NO_REF;
    this.misses++;
    const row = this.#parts.rows.get(key);
    if (row === undefined) return NO_REF;
    const { value, version, expiresAt } = row;
    const flags = FLAG.IN_ROWS | FLAG.RECENT;
    return this.#store.insertClean(key, value, { version, expiresAt, flags, number: 0 });
  }

  /** What is stored under a key, expired or not, and when its row expires, unless a change hides the row. */
  #stateOf(key: Text): { isStored: boolean; isInRows: boolean; rowExpiresAt: number } {
    const ref = this.#store.find(key);
    if (ref !== NO_REF) {
      const flags = this.#store.flagsOf(ref);
      return {
        isStored: (flags & FLAG.TOMBSTONE) === 0,
        isInRows: (flags & FLAG.IN_ROWS) !== 0,
        rowExpiresAt: (flags & DIRTY) === 0 ? this.#store.expiresAtOf(ref) : 0,
      };
    }
    const expiresAt = this.#mayHaveRow() ? this.#parts.rows.expiryOf(key) : undefined;
    const isStored = expiresAt !== undefined;
    return { isStored, isInRows: isStored, rowExpiresAt: expiresAt ?? 0 };
  }

  /**
   * Whether a key without a record may have a row. A record is flagged IN_ROWS only while its key has a row, so
   * where there are as many of these records as rows, each row has its record.
   */
  #mayHaveRow(): boolean {
    return this.#store.inRowsCount !== this.#parts.rows.state.count && !this.areRowsHidden;
  }

  #pushUndo(): void {
    this.#undo.push({
      store: this.#store.mark(),
      length: this.#log.gatheredBytes,
      count: this.#log.gatheredCount,
      keys: this.#keys,
      clearedAt: this.#clearedAt,
    });
  }

  /** The keys of the store that have no row. */
  *#storedKeys(range: Range, now: number): Generator<Text, undefined> {
    for (const ref of this.#store.page(range)) {
      const expiresAt = this.#store.expiresAtOf(ref);
      if (expiresAt === 0 || expiresAt > now) yield this.#store.keyOf(ref);
    }
  }

  /** The keys that have a row, unless a newer change removes them. */
  *#rowKeys({ prefix, after }: Range, now: number): Generator<Text, undefined> {
    const { rows } = this.#parts;
    if (this.areRowsHidden || rows.state.count === 0) return;
    for (const row of rows.from(compareTexts(after, prefix) > 0 ? after : prefix)) {
      if (!startsWith(row.key, prefix)) return;
      if (after.length > 0 && compareTexts(row.key, after) === 0) continue;
      const ref = this.#store.find(row.key);
      if (ref !== NO_REF && !this.#store.isLive(ref)) continue;
      const expiresAt = ref === NO_REF ? row.expiresAt : this.#store.expiresAtOf(ref);
      if (expiresAt === 0 || expiresAt > now) yield row.key;
    }
  }
}
