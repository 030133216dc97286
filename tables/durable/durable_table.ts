/**
 * The durable table, and the one by default: a flat store for what is new or was read recently, a log that
 * makes each turn durable, and rows for everything else.
 *
 * A key is looked for in the flat store, then in the rows. A commit writes all changes of a turn as one
 * record of the log. Behind the clients' back the mover brings changes from the log to the rows.
 *
 * @module
 */

import { FLAG, NO_REF } from "../flat/arena.ts";
import { FlatStore } from "../flat/flat_store.ts";
import { type Clock, type Entry, NO_EXPIRY, type Page, type Table, TableError } from "../table.ts";
import { asText, compareTexts, startsWith, Text, type TextLike } from "../text.ts";
import { KIND, type NumberedChange } from "./change.ts";
import { DiskSpace, giveUpReserve } from "./disk_space.ts";
import { DiskFullError, isDiskFull } from "./errors.ts";
import { ExpiredRows } from "./expired_rows.ts";
import { FolderLock } from "./folder_lock.ts";
import { Log } from "./log.ts";
import { DIRTY, Mover } from "./mover.ts";
import type { Rows } from "./rows.ts";
import { openRows } from "./rows_file.ts";
import { Sweeper } from "./sweeper.ts";
import { UndoStack } from "./undo_stack.ts";

/** How much of the log is moved at a time, in bytes: a transaction for less would not be worth its sync. */
const MOVE_BYTES = 65_536;
/** How much is moved for each byte that is committed: so much that no segment has to wait for the other. */
const MOVE_SHARE = 1.5;
/** So many changes are replayed between two commits of the flat store. */
const REPLAY_CHANGES = 1_024;
const NOTHING = Text.of("");

/** The options of a table on disk. */
export interface DurableTableOptions {
  /** How much memory the flat store may take before it evicts what rows have, in bytes. */
  readonly cacheBytes: number;
  /** The time by which keys expire. */
  readonly now?: Clock;
  /** How large a segment of the log is, in bytes; tests set it low. */
  readonly segmentBytes?: number;
}

/** A table in a folder. One process at a time has it open. */
export class DurableTable implements Table {
  readonly location: string;
  readonly #now: Clock;
  readonly #cacheBytes: number;
  readonly #lock: FolderLock;
  readonly #store = new FlatStore();
  readonly #rows: Rows;
  readonly #log: Log;
  readonly #space: DiskSpace;
  readonly #expiredRows: ExpiredRows;
  readonly #mover: Mover;
  readonly #sweeper: Sweeper;
  readonly #undo = new UndoStack();
  /** How many keys are stored, those included that have expired and are not removed yet. */
  #keys = 0;
  #version = 0;
  /** The number of the turn's last CLEAR; 0 without one. */
  #clearedAt = 0;
  /** How many bytes of the log are to be moved, for what has been committed. */
  #moveDebt = 0;
  #hits = 0;
  #misses = 0;
  #fault: TableError | undefined;
  #hasTold = false;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(
    folder: string,
    { cacheBytes, now = Date.now, segmentBytes }: DurableTableOptions,
  ) {
    this.location = folder;
    this.#now = now;
    this.#cacheBytes = cacheBytes;
    const open: { close(): void }[] = [];
    const opened = <Part extends { close(): void }>(part: Part): Part => {
      open.push(part);
      return part;
    };
    try {
      this.#lock = opened(new FolderLock(folder));
      this.#rows = opened(openInRoom(folder));
      const { flushed, turn, salt } = this.#rows.state;
      const options = { flushed, turn, salt, ...(segmentBytes && { segmentBytes }) };
      this.#log = opened(Log.open(folder, options));
      this.#space = opened(new DiskSpace(folder, this.#rows));
      const [store, log, rows] = [this.#store, this.#log, this.#rows];
      const expiredRows = new ExpiredRows(rows, (key) => this.#isDirty(key));
      this.#expiredRows = expiredRows;
      this.#mover = new Mover({
        store,
        log,
        rows,
        expiredRows,
        version: () => this.#version,
        claimGrowth: () => this.#space.claimGrowth(),
      });
      this.#sweeper = new Sweeper({ store, rows, expiredRows });
      this.#replay();
    } catch (error) {
      for (const part of open.reverse()) part.close();
      throw error;
    }
  }

  get(key: TextLike): Text | undefined {
    const ref = this.#find(asText(key));
    return ref === NO_REF ? undefined : this.#store.valueOf(ref);
  }

  entry(key: TextLike): Entry | undefined {
    const ref = this.#find(asText(key));
    if (ref === NO_REF) return undefined;
    const expiresAt = this.#store.expiresAtOf(ref);
    return {
      value: this.#store.valueOf(ref),
      version: this.#store.versionOf(ref),
      expiresAt: expiresAt === 0 ? null : expiresAt,
    };
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    this.#space.checkRoom();
    const version = ++this.#version;
    const fields = { version, expiresAt: expiresAt ?? 0 };
    this.#change(asText(key), asText(value), fields);
    return version;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    this.#space.checkRoom();
    const text = asText(key);
    const entry = this.entry(text);
    if (entry === undefined) return false;
    this.#change(text, entry.value, { version: entry.version, expiresAt: expiresAt ?? 0 });
    return true;
  }

  delete(key: TextLike): void {
    this.#change(asText(key), undefined, { version: 0, expiresAt: 0 });
  }

  clear(): void {
    if (this.#keys === 0) return;
    this.#pushUndo();
    const number = this.#nextNumber;
    const change = { kind: KIND.CLEAR, isInRows: false, key: NOTHING, value: NOTHING };
    this.#log.add({ ...change, version: 0, expiresAt: 0 });
    this.#store.clear();
    this.#keys = 0;
    this.#clearedAt = number;
  }

  count(): number {
    const now = this.#now();
    const expiredRows = this.#areRowsHidden ? 0 : this.#expiredRows.countAt(now);
    return this.#keys - this.#store.expiredCount(now) - expiredRows;
  }

  keys({ prefix, after, limit }: Page): string[] {
    const range = { prefix: asText(prefix), after: asText(after) };
    const now = this.#now();
    const page: string[] = [];
    if (limit === 0) return page;
    const stored = this.#storedKeys(range, now);
    const rows = this.#rowKeys(range, now);
    let [a, b] = [stored.next(), rows.next()];
    while (page.length < limit && !(a.done && b.done)) {
      const isStoredNext = !a.done && (b.done || compareTexts(a.value, b.value) < 0);
      if (isStoredNext) {
        page.push(String(a.value));
        a = stored.next();
      } else {
        page.push(String(b.value));
        b = rows.next();
      }
    }
    rows.return(undefined); // Ends the statement.
    return page;
  }

  commit(): boolean {
    if (this.#fault !== undefined) {
      this.undo(0);
      throw this.#fault;
    }
    if (!this.#log.hasGathered) {
      this.#evict();
      return false;
    }
    const bytes = this.#log.gatheredBytes;
    try {
      this.#commitLog();
    } catch (error) {
      this.undo(0);
      throw this.#noted(error);
    }
    this.#store.commit();
    this.#undo.clear();
    if (this.#clearedAt > 0) this.#mover.noteClear(this.#clearedAt);
    this.#clearedAt = 0;
    this.#moveDebt += MOVE_SHARE * bytes;
    this.#catchUp();
    return true;
  }

  mark(): number {
    return this.#undo.length;
  }

  undo(mark: number): void {
    if (this.#undo.length <= mark) return;
    const before = this.#undo.backTo(mark);
    this.#store.undo(before.store);
    this.#log.undo(before);
    this.#keys = before.keys;
    this.#clearedAt = before.clearedAt;
    this.#expiredRows.reset();
  }

  maintain(): boolean {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#log.hasGathered) return true; // In the middle of a turn: a little later.
    return this.#work(() => {
      const { isTight } = this.#space;
      if (isTight) this.#space.recover();
      const removed = this.#sweeper.step(this.#now(), { hidden: this.#areRowsHidden });
      this.#keys -= removed;
      return removed > 0 || this.#mover.clearEarly() || this.#sweeper.removeOld() ||
        (isTight && this.#mover.deleteEarly()) || this.#mover.step(MOVE_BYTES) || this.#evict();
    });
  }

  stats(): Record<string, number> {
    return {
      table_bytes: this.#store.bytes,
      disk_bytes: this.#rows.bytes,
      log_bytes: this.#log.activeBytes,
      rows: this.#rows.state.count,
      cache_hits: this.#hits,
      cache_misses: this.#misses,
    };
  }

  close(): void {
    // After an I/O error nothing more is written: the next start reads what is on the disk.
    if (this.#fault === undefined) this.#rows.close();
    this.#log.close();
    this.#space.close();
    this.#lock.close();
  }

  get #nextNumber(): number {
    return this.#log.lastChange + this.#log.gatheredCount + 1;
  }

  /** Whether a CLEAR stands in the log that the rows have not seen. */
  get #areRowsHidden(): boolean {
    return this.#clearedAt > 0 || this.#mover.isClearPending;
  }

  /** The record of a key that is there and has not expired. */
  #find(key: Text): number {
    let ref = this.#store.find(key);
    if (ref === NO_REF) {
      ref = this.#load(key);
      if (ref === NO_REF) return NO_REF;
    } else {
      this.#hits++;
      this.#store.touch(ref);
    }
    return this.#store.isVisible(ref, this.#now) ? ref : NO_REF;
  }

  /** Takes the row of a key into the store. */
  #load(key: Text): number {
    if (this.#areRowsHidden) return NO_REF;
    this.#misses++;
    const row = this.#read(() => this.#rows.get(key));
    if (row === undefined) return NO_REF;
    const { value, version, expiresAt } = row;
    return this.#store.insertClean(key, value, {
      version,
      expiresAt,
      flags: FLAG.IN_ROWS | FLAG.RECENT,
      number: 0,
    });
  }

  /** Stores a value under a key, or removes it; notes it in the log and in the counts. */
  #change(
    key: Text,
    value: Text | undefined,
    { version, expiresAt }: { version: number; expiresAt: number },
  ): void {
    const { isStored, isInRows, rowExpiresAt } = this.#stateOf(key);
    if (!isStored && value === undefined) return;
    this.#pushUndo();
    const number = this.#nextNumber;
    const kind = value === undefined ? KIND.DELETE : KIND.PUT;
    this.#log.add({ kind, isInRows, key, value: value ?? NOTHING, version, expiresAt });
    const dirty = this.#log.active === 0 ? FLAG.DIRTY_0 : FLAG.DIRTY_1;
    const flags = isInRows ? dirty | FLAG.IN_ROWS : dirty;
    this.#store.write(key, value, { version, expiresAt, flags, number });
    this.#keys += Number(value !== undefined) - Number(isStored);
    this.#expiredRows.note(rowExpiresAt, -1);
  }

  /** What is stored under a key, expired or not; and when its row expires, where that is visible now. */
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
    const expiresAt = this.#areRowsHidden ? undefined : this.#read(() => this.#rows.expiryOf(key));
    const isStored = expiresAt !== undefined;
    return { isStored, isInRows: isStored, rowExpiresAt: expiresAt ?? 0 };
  }

  #isDirty(key: Text): boolean {
    const ref = this.#store.find(key);
    return ref !== NO_REF && (this.#store.flagsOf(ref) & DIRTY) !== 0;
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

  /** The keys that only the store has. */
  *#storedKeys(range: { prefix: Text; after: Text }, now: number): Generator<Text, undefined> {
    for (const ref of this.#store.page(range)) {
      const expiresAt = this.#store.expiresAtOf(ref);
      if (expiresAt === 0 || expiresAt > now) yield this.#store.keyOf(ref);
    }
  }

  /** The keys that rows have, as far as no newer change removes them. */
  *#rowKeys(
    { prefix, after }: { prefix: Text; after: Text },
    now: number,
  ): Generator<Text, undefined> {
    if (this.#areRowsHidden || this.#rows.state.count === 0) return;
    for (const row of this.#rows.from(compareTexts(after, prefix) > 0 ? after : prefix)) {
      if (!startsWith(row.key, prefix)) return;
      if (after.length > 0 && compareTexts(row.key, after) === 0) continue;
      const ref = this.#store.find(row.key);
      if (ref !== NO_REF && !this.#store.isLive(ref)) continue;
      const expiresAt = ref === NO_REF ? row.expiresAt : this.#store.expiresAtOf(ref);
      if (expiresAt === 0 || expiresAt > now) yield row.key;
    }
  }

  /** Takes up what the log holds, at the start. */
  #replay(): void {
    const { count, version, unsure } = this.#rows.state;
    this.#keys = count;
    this.#version = version;
    let replayed = 0;
    for (const change of this.#log.replay()) {
      const { kind, key, parity, number } = change;
      this.#version = Math.max(this.#version, change.version);
      if (kind === KIND.CLEAR) {
        this.#store.clear();
        this.#keys = 0;
        this.#mover.noteClear(number);
      } else {
        const before = this.#store.find(key);
        const isInRows = this.#isInRows(change, { before, unsure });
        const wasStored = before === NO_REF ? isInRows : this.#store.isLive(before);
        const dirty = parity === 0 ? FLAG.DIRTY_0 : FLAG.DIRTY_1;
        this.#store.write(key, kind === KIND.PUT ? change.value : undefined, {
          version: change.version,
          expiresAt: change.expiresAt,
          flags: isInRows ? dirty | FLAG.IN_ROWS : dirty,
          number,
        });
        this.#keys += Number(kind === KIND.PUT) - Number(wasStored);
      }
      if (++replayed % REPLAY_CHANGES === 0) this.#store.commit();
    }
    this.#store.commit();
    this.#log.prepare();
  }

  /** Whether a replayed change has a row beneath it: as the log says, where that can be relied on. */
  #isInRows(
    { key, isInRows, number }: NumberedChange,
    { before, unsure }: { before: number; unsure: number },
  ): boolean {
    if (!isInRows || number > unsure || this.#mover.isClearPending) return isInRows;
    return before === NO_REF
      ? this.#rows.expiryOf(key) !== undefined
      : (this.#store.flagsOf(before) & FLAG.IN_ROWS) !== 0;
  }

  /** Commits the log; on a full disk, once more with the room that is held back. */
  #commitLog(): void {
    try {
      this.#log.commit();
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      this.#space.noteFull();
      this.#log.commit();
    }
  }

  /**
   * Moves what the log must let go before more comes, and evicts what has no room. The turn is durable
   * already: no failure here is one of its own.
   */
  #catchUp(): void {
    try {
      if (this.#moveDebt >= MOVE_BYTES) {
        const debt = this.#moveDebt;
        this.#moveDebt = 0;
        this.#work(() => this.#mover.step(debt));
      }
      this.#evict();
    } catch (error) {
      console.error("Keyline cannot move changes to the table's rows:", error);
    }
  }

  #evict(): boolean {
    return this.#store.maintain({ bytesMax: this.#cacheBytes });
  }

  /** Does work that can wait. Throws only what ends the table: anything else is tried again later. */
  #work(step: () => boolean): boolean {
    try {
      const isMore = step();
      if (isMore) this.#space.checkpointIfDue();
      return isMore;
    } catch (error) {
      this.#tell(error);
      this.#noted(error);
      if (this.#fault !== undefined) throw this.#fault;
      return false;
    }
  }

  /** Reads rows. Throws TableError. */
  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      this.#tell(error);
      throw this.#noted(error);
    }
  }

  /** Tells the log of a failure: once, because a client may ask for the same again and again. */
  #tell(error: unknown): void {
    if (error instanceof DiskFullError || this.#hasTold) return;
    this.#hasTold = true;
    console.error("Keyline cannot read or write the table:", error);
  }

  /** Takes note of what a failure means for what comes next. */
  #noted(error: unknown): unknown {
    if (error instanceof TableError && error.fatal) this.#fault = error;
    if (error instanceof DiskFullError) this.#space.noteFull();
    return error;
  }
}

/** Opens the rows. Even that takes some room, which a full disk has only in the reserve. */
function openInRoom(folder: string): Rows {
  try {
    return openRows(folder);
  } catch (error) {
    if (!isDiskFull(error) || !giveUpReserve(folder)) throw error;
    return openRows(folder);
  }
}
