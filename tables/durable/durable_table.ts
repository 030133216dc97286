/**
 * The durable table, and the one by default: a flat store for what is new or was read recently, a log that
 * makes each turn durable, and rows for everything else.
 *
 * A key is looked for in the flat store, then in the rows. A commit writes all changes of a turn as one
 * record of the log. Behind the clients' back the mover brings changes from the log to the rows.
 *
 * @module
 */

import { FlatStore } from "../flat/flat_store.ts";
import { NO_REF } from "../flat/record.ts";
import { NO_REPORT, type Report } from "../report.ts";
import { type Clock, type Entry, NO_EXPIRY, type Page, type Table, TableError } from "../table.ts";
import { asText, type Text, type TextLike } from "../text.ts";
import { DiskSpace } from "./disk_space.ts";
import { DiskFullError } from "./errors.ts";
import { ExpiredRows } from "./expired_rows.ts";
import { FolderLock } from "./folder_lock.ts";
import { Log, newSalt } from "./log.ts";
import { Mover } from "./mover.ts";
import { Overlay } from "./overlay.ts";
import type { Rows } from "./rows.ts";
import { openRows } from "./rows_file.ts";
import { Sweeper } from "./sweeper.ts";

/** How much of the log is moved at a time, in bytes: a transaction for less would not be worth its sync. */
const MOVE_BYTES = 65_536;
/** How much is moved for each byte that is committed: so much that no segment has to wait for the other. */
const MOVE_SHARE = 3;
/** The options of a table on disk. */
export interface DurableTableOptions {
  /** How much memory the flat store takes before it evicts, in bytes. */
  readonly cacheBytes: number;
  /** The time by which keys expire. */
  readonly now?: Clock;
  /** How large a segment of the log is, in bytes; tests set it low. */
  readonly segmentBytes?: number;
  /** How much of the log a step moves at least, in bytes; tests set it low. */
  readonly moveBytes?: number;
  /** What is told of what happens to the table. */
  readonly report?: Report;
}

/** A table in a folder. One process at a time has it open. */
export class DurableTable implements Table {
  readonly location: string;
  readonly #now: Clock;
  readonly #report: Report;
  readonly #cacheBytes: number;
  readonly #moveBytes: number;
  readonly #lock: FolderLock;
  readonly #store = new FlatStore();
  readonly #rows: Rows;
  readonly #log: Log;
  readonly #space: DiskSpace;
  readonly #mover: Mover;
  readonly #sweeper: Sweeper;
  readonly #overlay: Overlay;
  /** Whether a turn was committed since the last `maintain`. */
  #isBusy = false;
  /** How many bytes of the log are to be moved, for what has been committed. */
  #moveDebt = 0;
  #fault: TableError | undefined;
  #hasTold = false;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(
    folder: string,
    options: DurableTableOptions,
  ) {
    const { cacheBytes, now = Date.now, segmentBytes, moveBytes = MOVE_BYTES } = options;
    const { report = NO_REPORT } = options;
    this.location = folder;
    this.#now = now;
    this.#report = report;
    this.#cacheBytes = cacheBytes;
    this.#moveBytes = moveBytes;
    const open: { close(): void }[] = [];
    const opened = <Part extends { close(): void }>(part: Part): Part => {
      open.push(part);
      return part;
    };
    try {
      this.#lock = opened(new FolderLock(folder));
      this.#rows = opened(openRows(folder));
      const isNew = this.#rows.state.salt === 0;
      const salt = isNew ? newSalt() : this.#rows.state.salt;
      const { flushed, turn } = this.#rows.state;
      const options = { isNew, flushed, turn, salt, ...(segmentBytes && { segmentBytes }) };
      this.#log = opened(Log.open(folder, options));
      this.#lock.syncNames();
      // Only now: a log that the rows know of, and that is not there, is a loss.
      if (isNew) this.#rows.setSalt(salt);
      this.#space = opened(new DiskSpace(folder, { storage: this.#rows.storage, report }));
      const [store, log, rows] = [this.#store, this.#log, this.#rows];
      const expiredRows = new ExpiredRows(rows, (key) => this.#overlay.isDirty(key));
      this.#mover = new Mover({
        store,
        log,
        rows,
        expiredRows,
        version: () => this.#overlay.version,
        claimGrowth: () => this.#space.claimGrowth(),
      });
      this.#sweeper = new Sweeper({ store, rows, expiredRows });
      this.#overlay = new Overlay({ store, log, rows, expiredRows, mover: this.#mover, now });
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
    return ref === NO_REF ? undefined : this.#store.entryOf(ref);
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    this.#space.checkRoom();
    const version = ++this.#overlay.version;
    this.#change(asText(key), asText(value), { version, expiresAt: expiresAt ?? 0 });
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
    this.#overlay.clear();
  }

  count(): number {
    return this.#read(() => this.#overlay.count());
  }

  keys({ prefix, after, limit }: Page): string[] {
    return this.#read(() => {
      const keys = this.#overlay.keys({ prefix: asText(prefix), after: asText(after) });
      return Array.from(keys.take(limit), String);
    });
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
    this.#overlay.commit();
    this.#isBusy = true;
    if (this.#log.isHalfFull) this.#moveDebt += MOVE_SHARE * bytes;
    this.#catchUp();
    return true;
  }

  mark(): number {
    return this.#overlay.mark();
  }

  undo(mark: number): void {
    this.#overlay.undo(mark);
  }

  maintain(): boolean {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#log.hasGathered) return true; // In the middle of a turn: a little later.
    // Keys that change all the time have a newer change soon, and then nothing to move.
    const canMove = !this.#isBusy || this.#log.isHalfFull || this.#space.isTight;
    this.#isBusy = false;
    return this.#work(() => {
      const { isTight } = this.#space;
      if (isTight) this.#space.recover();
      const removed = this.#sweeper.step(this.#now(), { hidden: this.#overlay.areRowsHidden });
      this.#overlay.noteSwept(removed);
      return removed > 0 || this.#mover.clearEarly() || this.#sweeper.removeOld() ||
        (isTight && this.#mover.deleteEarly()) ||
        (canMove ? this.#mover.step(this.#moveBytes) : this.#log.sealed() !== undefined) ||
        this.#evict();
    });
  }

  stats(): Record<string, number> {
    return {
      table_bytes: this.#store.bytes,
      disk_bytes: this.#rows.storage.bytes,
      log_bytes: this.#log.activeBytes,
      rows: this.#rows.state.count,
      cache_hits: this.#overlay.hits,
      cache_misses: this.#overlay.misses,
      expired_keys: this.#sweeper.removedInAll,
      writable: Number(this.#fault === undefined && !this.#space.isFull),
    };
  }

  close(): void {
    // After an I/O error nothing more is written: the next start reads what is on the disk.
    if (this.#fault === undefined) this.#rows.close();
    this.#log.close();
    this.#space.close();
    this.#lock.close();
  }

  /** Takes up what the log holds, and tells how much that was. */
  #replay(): void {
    const startedAt = performance.now();
    const changes = this.#overlay.replay();
    const seconds = Number(((performance.now() - startedAt) / 1_000).toPrecision(3));
    if (changes > 0) this.#report("info", "The log was replayed", { changes, seconds });
  }

  #find(key: Text): number {
    try {
      return this.#overlay.find(key);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #change(
    key: Text,
    value: Text | undefined,
    fields: { version: number; expiresAt: number },
  ): void {
    try {
      this.#overlay.change(key, value, fields);
    } catch (error) {
      throw this.#failed(error);
    }
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
      if (this.#moveDebt >= this.#moveBytes) {
        const debt = this.#moveDebt;
        this.#moveDebt = 0;
        this.#work(() => this.#mover.step(debt));
      }
      this.#evict();
    } catch (error) {
      this.#report("error", "Cannot move changes to the rows of the table", { error });
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

  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): unknown {
    this.#tell(error);
    return this.#noted(error);
  }

  /** Tells the log of a failure: once, because a client may ask for the same again and again. */
  #tell(error: unknown): void {
    if (error instanceof DiskFullError || this.#hasTold) return;
    this.#hasTold = true;
    this.#report("error", "Cannot read or write the table", { error });
  }

  /** Takes note of what a failure means for what comes next. */
  #noted(error: unknown): unknown {
    if (error instanceof TableError && error.fatal) this.#fault = error;
    if (error instanceof DiskFullError) this.#space.noteFull();
    return error;
  }
}
