/**
 * The durable table, which is the default: a flat store for what is new or was read recently, a log that
 * makes each turn durable, and rows for everything else.
 *
 * A look-up tries the flat store, then the rows. A commit writes all changes of a turn as one record of the
 * log. In the background the upkeep moves changes from the log to the rows.
 *
 * @module
 */

import { FlatStore } from "../flat/flat_store.ts";
import { NO_REF } from "../flat/record.ts";
import { NO_REPORT, type Report } from "../report.ts";
import {
  type Clock,
  type Entry,
  type KeyPage,
  NO_EXPIRY,
  type Page,
  type Table,
} from "../table.ts";
import { asText, type Text, type TextLike } from "../text.ts";
import { DiskSpace } from "./disk_space.ts";
import { DiskFullError } from "./errors.ts";
import { ExpiredRows } from "./expired_rows.ts";
import { Faults } from "./faults.ts";
import { FolderLock } from "./folder_lock.ts";
import { Log, newSalt } from "./log.ts";
import { Mover } from "./mover.ts";
import { Overlay } from "./overlay.ts";
import type { Rows } from "./rows.ts";
import { openRows } from "./rows_file.ts";
import { Sweeper } from "./sweeper.ts";
import { MOVE_BYTES, Upkeep } from "./upkeep.ts";

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
  readonly #lock: FolderLock;
  readonly #store = new FlatStore();
  readonly #rows: Rows;
  readonly #log: Log;
  readonly #space: DiskSpace;
  readonly #overlay: Overlay;
  readonly #upkeep: Upkeep;
  readonly #sweeper: Sweeper;
  readonly #faults: Faults;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(
    folder: string,
    { cacheBytes, now = Date.now, report = NO_REPORT, ...sizes }: DurableTableOptions,
  ) {
    const { segmentBytes, moveBytes = MOVE_BYTES } = sizes;
    this.location = folder;
    this.#faults = new Faults({ noteFull: () => this.#space.noteFull(), report });
    const open: { close(): void }[] = [];
    const opened = <Part extends { close(): void }>(part: Part): Part => {
      open.push(part);
      return part;
    };
    try {
      this.#lock = opened(new FolderLock(folder));
      this.#rows = opened(openRows(folder));
      const { state } = this.#rows;
      const isNew = state.salt === 0;
      const salt = isNew ? newSalt() : state.salt;
      const options = { ...state, salt, isNew, ...(segmentBytes && { segmentBytes }) };
      this.#log = opened(Log.open(folder, options));
      // First the names of the files: once the rows know of a log, a file of it that is not there is a loss.
      this.#lock.syncNames();
      if (isNew) this.#rows.setSalt(salt);
      this.#space = opened(new DiskSpace(folder, { storage: this.#rows.storage, report }));
      const [store, log, rows] = [this.#store, this.#log, this.#rows];
      const expiredRows = new ExpiredRows(rows, (key) => this.#overlay.isDirty(key));
      const mover = new Mover({
        store,
        log,
        rows,
        expiredRows,
        version: () => this.#overlay.version,
        claimGrowth: () => this.#space.claimGrowth(),
      });
      const sweeper = this.#sweeper = new Sweeper({ store, rows, expiredRows });
      const overlay = this.#overlay = new Overlay({ store, log, rows, expiredRows, mover, now });
      const [space, faults] = [this.#space, this.#faults];
      const parts = { store, log, mover, sweeper, overlay, space, faults, report };
      this.#upkeep = new Upkeep({ ...parts, now, cacheBytes, moveBytes });
      const startedAt = performance.now();
      const changes = overlay.replay();
      const seconds = Number(((performance.now() - startedAt) / 1_000).toPrecision(3));
      if (changes > 0) report("info", "The log was replayed", { changes, seconds });
      space.spend(() => rows.settle(log.lastChange));
    } catch (error) {
      for (const part of open.reverse()) part.close();
      throw error;
    }
  }

  get(key: TextLike): Text | undefined {
    const ref = this.#find(asText(key));
    return ref === NO_REF ? undefined : this.#store.valueOf(ref);
  }

  prefetch(keys: readonly Text[]): void {
    this.#store.prefetch(keys);
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
    return this.#faults.guard(() => this.#overlay.count());
  }

  keys({ prefix, after, limit }: Page): KeyPage {
    return this.#faults.guard(() => {
      const found = this.#overlay.keys({ prefix: asText(prefix), after: asText(after) });
      const keys = Array.from(found.take(limit + 1), String);
      return { keys: keys.slice(0, limit), hasMore: keys.length > limit };
    });
  }

  commit(): boolean {
    const { fatal } = this.#faults;
    if (fatal !== undefined) {
      this.undo(0);
      throw fatal;
    }
    if (!this.#log.hasGathered) {
      this.#upkeep.evict();
      return false;
    }
    const bytes = this.#log.gatheredBytes;
    try {
      this.#commitLog();
    } catch (error) {
      this.undo(0);
      throw this.#faults.record(error);
    }
    this.#overlay.commit();
    this.#upkeep.afterCommit(bytes);
    return true;
  }

  mark(): number {
    return this.#overlay.mark();
  }

  undo(mark: number): void {
    this.#overlay.undo(mark);
  }

  maintain(): boolean {
    const { fatal } = this.#faults;
    if (fatal !== undefined) throw fatal;
    if (this.#log.hasGathered) return true; // In the middle of a turn: not now.
    return this.#upkeep.step();
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
      writable: Number(this.#faults.fatal === undefined && !this.#space.isFull),
    };
  }

  close(): void {
    // After an I/O error nothing more is written: the next start reads what is on the disk.
    if (this.#faults.fatal === undefined) this.#rows.close();
    this.#log.close();
    this.#space.close();
    this.#lock.close();
  }

  // No closures in these two: every request comes by.
  #find(key: Text): number {
    try {
      return this.#overlay.find(key);
    } catch (error) {
      throw this.#faults.fail(error);
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
      throw this.#faults.fail(error);
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
}
