/**
 * The durable table, and the one by default: SQLite in a folder.
 *
 * A key is looked for in three places, newest first: the changes that the rows don't have yet, the
 * cache of rows, the rows. A commit writes all changes of a turn as one row of the log: one small append
 * and one fsync, however many keys it touched. Where the log has grown too large, the commit also
 * moves the changes of its oldest rows into `entries`; one that a later row replaces has nothing to
 * move, so that hot keys cost no row at all.
 *
 * @module
 */

import { backup, DatabaseSync } from "node:sqlite";
import {
  type Change,
  ChangeLog,
  LOG_CHANGES_MAX,
  LOG_ROW_SIZE_MAX,
  type LoggedRow,
  OVER,
  type Plan,
  UNLOGGED,
} from "./change_log.ts";
import { KeyMap } from "./key_map.ts";
import { DiskReserve, giveUpReserve, RESERVE_BYTES } from "./disk_reserve.ts";
import { EntryCache } from "./entry_cache.ts";
import {
  DiskFullError,
  FILE_NAME,
  isDiskFull,
  OpenError,
  type Removed,
  SqliteFile,
  tableError,
} from "./sqlite_file.ts";
import {
  type Clock,
  compareCodePoints,
  copyOf,
  type Entry,
  FOR_GOOD,
  isOver,
  type Page,
  type Table,
  TableError,
} from "./table.ts";

/** How much a step of work that can wait takes on: keys, and milliseconds. */
const STEP_KEYS = 256;
const STEP_MS = 3;
/** How many pages the write-ahead log takes before it is moved into the file; fewer on a full disk. */
const UNMOVED_PAGES_MAX = 4_000;
const UNMOVED_PAGES_MAX_FULL = 256;
/** How much the file may be about to grow by that move: half of the room that is held back for it. */
const GROWTH_MAX = RESERVE_BYTES / 2;
/** The write-ahead log is looked at after so many bytes: a look costs a good part of a small commit. */
const UNSEEN_BYTES_MAX = 1_048_576;
/** What a commit writes there at most, beside its texts, and what a move does: pages of 4 KiB. */
const COMMIT_BYTES = 16_384;
const MOVE_BYTES = 8_192;
/** A UTF-16 unit is at most so many bytes of UTF-8. */
const UNIT_BYTES = 3;
/** How much room there must be again on a disk that was full: beside the reserve, or in the file. */
const ROOM_BYTES_MIN = 1_048_576;
const FREE_BYTES_MIN = 65_536;
const RESERVE_NAME = "keyline.reserve";

/** The options of a table on disk. */
export interface SqliteTableOptions {
  /** How much memory the cache of rows may take, in bytes. */
  readonly cacheBytes: number;
  /** The time by which keys end. */
  readonly now?: Clock;
  /** Past so many changes in the log, commits move the oldest into rows. Tests set it low. */
  readonly logChangesMax?: number;
}

/** A table in SQLite. One process at a time has it open. */
export class SqliteTable implements Table {
  readonly place: string;
  readonly #now: Clock;
  readonly #file: SqliteFile;
  readonly #reserve: DiskReserve;
  readonly #cacheBytes: number;
  #cache: EntryCache;

  /** The newest change of each key, this turn's included. */
  #changes = new KeyMap<Change>();
  /** What this turn has changed, what is over included, and how to undo each change, in their order. */
  #turn: Change[] = [];
  #undo: (() => void)[] = [];
  /** Whether this turn has removed all that was there before its changes. */
  #isCleared = false;
  /** How many keys are stored, those included that have ended and are not removed yet. */
  #keys = 0;
  #version = 0;

  readonly #log: ChangeLog;
  /** How many bytes have come to the write-ahead log, at most, since it was looked at. */
  #unseenBytes = 0;

  #isFull = false;
  #hasCleared = true;
  #hasFailedToRead = false;
  #fault: TableError | undefined;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(
    folder: string,
    { cacheBytes, now = Date.now, logChangesMax = LOG_CHANGES_MAX }: SqliteTableOptions,
  ) {
    this.place = folder;
    this.#now = now;
    this.#log = new ChangeLog(logChangesMax);
    this.#cacheBytes = cacheBytes;
    this.#cache = new EntryCache(cacheBytes);
    this.#file = openFile(folder);
    this.#reserve = new DiskReserve(`${folder}/${RESERVE_NAME}`);
    this.#readLog();
    this.#reserve.keep(RESERVE_BYTES);
    if (!this.#reserve.take(RESERVE_BYTES)) this.#noted(new DiskFullError());
  }

  get(key: string): string | undefined {
    return this.entry(key)?.value;
  }

  entry(key: string): Entry | undefined {
    const entry = this.#find(key);
    return entry === undefined || isOver(entry.expiresAt, this.#now) ? undefined : entry;
  }

  put(key: string, value: string, { expiresAt } = FOR_GOOD): number {
    if (this.#isFull) throw new DiskFullError();
    const version = this.#version + 1;
    this.#change({ key, value: copyOf(value), version, expiresAt });
    this.#version = version;
    return version;
  }

  expire(key: string, expiresAt: number | null): boolean {
    if (this.#isFull) throw new DiskFullError();
    const entry = this.entry(key);
    if (entry !== undefined) this.#change({ ...entry, expiresAt });
    return entry !== undefined;
  }

  delete(key: string): void {
    this.#change({ key, value: undefined, version: 0, expiresAt: null });
  }

  clear(): void {
    const [changes, turn, keys, isCleared] = [
      this.#changes,
      this.#turn,
      this.#keys,
      this.#isCleared,
    ];
    this.#undo.push(() => {
      this.#changes = changes;
      this.#turn = turn;
      this.#keys = keys;
      this.#isCleared = isCleared;
    });
    this.#changes = new KeyMap();
    this.#turn = [];
    this.#keys = 0;
    this.#isCleared = true;
  }

  count(): number {
    const time = this.#now();
    const now = () => time;
    // Rows that have ended, but for those that a change hides; then the changes that have ended.
    let ended = this.#isCleared ? 0 : this.#read(() => this.#file.endedRowCount(time));
    for (const { value, expiresAt, rowEnd } of this.#changes) {
      if (isOver(rowEnd, now) && !this.#isCleared) ended--;
      if (value !== undefined && isOver(expiresAt, now)) ended++;
    }
    return this.#keys - ended;
  }

  keys(page: Page): string[] {
    return this.#read(() => this.#keysOf(page));
  }

  commit(): boolean {
    try {
      if (this.#fault !== undefined) throw this.#fault;
      if (this.#undo.length === 0) return false;
      this.#writeTurnInRoom();
    } catch (error) {
      this.undo(0);
      throw this.#noted(error);
    }
    this.#turn = [];
    this.#undo = [];
    this.#isCleared = false;
    this.#checkpointIfDue();
    return true;
  }

  mark(): number {
    return this.#undo.length;
  }

  undo(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()!();
  }

  tend(): boolean {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#undo.length > 0) return true; // In the middle of a turn: a little later.
    try {
      if (this.#isTight) return this.#makeRoom();
      const isMore = this.#removeEnded() || this.#removeCleared();
      this.#checkpointIfDue();
      return isMore;
    } catch (error) {
      this.#noted(error);
      if (this.#fault !== undefined) throw this.#fault;
      return false;
    }
  }

  figures(): Record<string, number> {
    const { bytes, entries, hits, misses } = this.#cache.figures;
    return {
      disk_bytes: this.#read(() => this.#file.bytes()),
      log_changes: this.#log.changeCount,
      cache_bytes: bytes,
      cache_entries: entries,
      cache_hits: hits,
      cache_misses: misses,
    };
  }

  close(): void {
    // After an I/O error nothing more is written: the next start reads what is on the disk.
    if (this.#fault === undefined) this.#file.close();
    this.#reserve.close();
  }

  /** Whether the disk has been full and has not had all the room since that a table wants. */
  get #isTight(): boolean {
    return this.#reserve.bytes < RESERVE_BYTES;
  }

  #find(key: string): Entry | undefined {
    const change = this.#changes.get(key);
    if (change !== undefined) return change.value === undefined ? undefined : change;
    if (this.#isCleared) return undefined;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#read(() => this.#file.row(key));
    if (row !== undefined) this.#cache.set(row);
    return row;
  }

  #change(stored: Entry | Removed): void {
    const before = this.#changes.get(stored.key);
    const { isStored, rowEnd } = this.#stateOf(stored.key, before);
    if (!isStored && stored.value === undefined) return;
    const key = before?.key ?? copyOf(stored.key);
    const { value, version, expiresAt } = stored;
    const change = { key, value, version, expiresAt, rowEnd, logId: UNLOGGED } as Change;
    const logIdBefore = before?.logId ?? OVER;
    const keys = this.#keys;
    this.#undo.push(() => {
      this.#keys = keys;
      this.#turn.pop();
      if (before === undefined) return this.#changes.delete(key);
      before.logId = logIdBefore;
      this.#changes.set(before);
    });
    if (before !== undefined) before.logId = OVER;
    this.#keys += Number(value !== undefined) - Number(isStored);
    this.#turn.push(change);
    this.#changes.set(change);
  }

  /** Whether something is stored under a key, ended or not, and when the key's row ends. */
  #stateOf(key: string, change: Change | undefined): { isStored: boolean; rowEnd: number | null } {
    if (change !== undefined) {
      return { isStored: change.value !== undefined, rowEnd: change.rowEnd };
    }
    if (this.#isCleared) return { isStored: false, rowEnd: null };
    const cached = this.#cache.get(key);
    const rowEnd = cached ? cached.expiresAt : this.#read(() => this.#file.rowEnd(key));
    return { isStored: rowEnd !== undefined, rowEnd: rowEnd ?? null };
  }

  #keysOf({ prefix, after, limit }: Page): string[] {
    const isInPage = (key: string) =>
      key.startsWith(prefix) && (after === "" || compareCodePoints(key, after) > 0);
    const changed: string[] = [];
    const hidden = new Set<string>();
    for (const { key, value, expiresAt } of this.#changes) {
      if (!isInPage(key)) continue;
      hidden.add(key);
      if (value !== undefined && !isOver(expiresAt, this.#now)) changed.push(key);
    }
    const found: string[] = [];
    const first = compareCodePoints(after, prefix) > 0 ? after : prefix;
    const rows = this.#isCleared ? [] : this.#file.rowsFrom(first);
    for (const { key, expiresAt } of rows) {
      if (found.length === limit || !key.startsWith(prefix)) break;
      if (key !== after && !hidden.has(key) && !isOver(expiresAt, this.#now)) found.push(key);
    }
    return firstOf([...found, ...changed], limit);
  }

  /**
   * Writes the changes of these keys to the log. Where the log has grown too large, its oldest changes
   * are moved to rows, as many as it takes, but not so many that this commit would become a long one.
   */
  #writeTurn({ canMove }: { canMove: boolean }): void {
    const changes = this.#turn.filter(({ logId }) => logId !== OVER);
    const isCleared = this.#isCleared;
    const plan = canMove && !isCleared ? this.#log.planMoves(changes) : this.#log.planNothing();
    const canGrow = plan.moves.length > 0 || changes.some(({ value }) => value !== undefined);
    this.#write({ changes, isCleared, plan, canGrow });
  }

  #write({ changes, isCleared, plan, canGrow }: Writing): void {
    const added: LoggedRow[] = [];
    let bytes = COMMIT_BYTES;
    this.#file.transaction(() => {
      // First what frees pages: on a full disk all the rest stands where that stood.
      if (isCleared) this.#file.nextGeneration();
      const firstKept = isCleared ? 0 : this.#log.firstKept(plan);
      if (firstKept > 0) this.#file.trimLog(firstKept);
      for (const part of partsOf(changes)) {
        const id = this.#log.lastId + added.length + 1;
        const row = { id, keys: this.#keys, version: this.#version, changes: part };
        const size = this.#file.append(row);
        added.push({ id, size, changes: part });
        bytes += UNIT_BYTES * size;
      }
      for (const change of plan.moves) {
        this.#file.setRow(change);
        bytes += MOVE_BYTES + UNIT_BYTES * (change.value?.length ?? 0);
      }
      if (canGrow) this.#claimGrowth(bytes);
    });
    this.#unseenBytes += bytes;
    if (isCleared) this.#forgetCleared();
    else this.#noteMoves(plan);
    for (const row of added) {
      this.#log.add(row);
      for (const change of row.changes) change.logId = row.id;
    }
  }

  #noteMoves(plan: Plan): void {
    for (const change of plan.moves) {
      change.logId = OVER;
      this.#changes.delete(change.key);
      if (change.value === undefined) this.#cache.delete(change.key);
      else this.#cache.set(change);
    }
    this.#log.drop(plan);
  }

  #forgetCleared(): void {
    this.#log.clear();
    this.#cache = new EntryCache(this.#cacheBytes);
    this.#hasCleared = true;
  }

  /** Takes up what the log holds, at the start. */
  #readLog(): void {
    const canEnd = this.#file.endedRows(Infinity, 1).length > 0;
    for (const { id, keys, version, size, changes } of this.#file.log()) {
      const logged: Change[] = [];
      for (const stored of changes) {
        const rowEnd = (canEnd ? this.#file.rowEnd(stored.key) : undefined) ?? null;
        const before = this.#changes.get(stored.key);
        if (before !== undefined) before.logId = OVER;
        const change = { ...stored, rowEnd, logId: id };
        this.#changes.set(change);
        logged.push(change);
      }
      this.#log.add({ id, size, changes: logged });
      this.#keys = keys;
      this.#version = version;
    }
  }

  /** Removes some rows that have ended; false where there are none. */
  #removeEnded(): boolean {
    const found = this.#file.endedRows(this.#now(), STEP_KEYS);
    if (found.length === 0) return false;
    const ended: string[] = [];
    let keys = this.#keys;
    this.#file.transaction(() => {
      const until = performance.now() + STEP_MS;
      for (const key of found) {
        this.#file.deleteRow(key);
        ended.push(key);
        // A key that has changed since is counted by its change, not by its row.
        if (this.#changes.get(key) === undefined) keys--;
        if (performance.now() > until) break;
      }
      this.#file.amendLog(this.#log.lastId, keys);
    });
    this.#unseenBytes = Infinity; // Who knows how much a removal has written.
    this.#keys = keys;
    for (const key of ended) {
      this.#cache.delete(key);
      const change = this.#changes.get(key);
      if (change !== undefined) change.rowEnd = null;
    }
    return true;
  }

  /** Removes some rows that CLEAR left behind; false where there are none. */
  #removeCleared(): boolean {
    if (!this.#hasCleared) return false;
    this.#file.transaction(() => {
      const until = performance.now() + STEP_MS;
      do this.#hasCleared = this.#file.removeCleared(); while (
        this.#hasCleared && performance.now() < until
      );
    });
    this.#unseenBytes = Infinity;
    return this.#hasCleared;
  }

  /**
   * Writes the turn. Where the disk is full, it tries once more with the room that the reserve gives up:
   * enough for a turn that removes keys, but not for one that makes the file grow.
   */
  #writeTurnInRoom(): void {
    try {
      this.#writeTurn({ canMove: !this.#isFull });
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      this.#giveUpReserve();
      this.#writeTurn({ canMove: false });
    }
  }

  /**
   * Makes sure, within a transaction, that the file has room to grow by all that the write-ahead log will
   * hold. Else the disk could be so full of the log that it can't be moved, and with it nothing freed.
   * Throws DiskFullError.
   */
  #claimGrowth(bytes: number): void {
    if (this.#canWaitToLook(bytes)) return;
    const growth = this.#file.growth();
    const isHeld = this.#isTight ? growth <= 0 : growth <= this.#reserve.bytes;
    // A turn of large values, which wants as much again to be moved to rows.
    if (!isHeld && (this.#isTight || !this.#reserve.take(2 * growth))) throw new DiskFullError();
  }

  /** Whether the write-ahead log has so little that is new, with these bytes, that no bound is near. */
  #canWaitToLook(bytes: number): boolean {
    return !this.#isTight && this.#unseenBytes + bytes <= UNSEEN_BYTES_MAX;
  }

  /** Moves the write-ahead log into the file before it, or the growth of the file, becomes too large. */
  #checkpointIfDue(): void {
    if (this.#canWaitToLook(0)) return;
    this.#unseenBytes = 0;
    const pagesMax = this.#isTight ? UNMOVED_PAGES_MAX_FULL : UNMOVED_PAGES_MAX;
    try {
      const isDue = this.#file.unmovedPages() > pagesMax || this.#file.growth() > GROWTH_MAX;
      if (isDue) this.#file.checkpoint("PASSIVE");
    } catch (error) {
      this.#noted(error); // The turn is durable. An I/O error stops the next one.
    }
  }

  /** On a full disk: removes what only takes room, and looks whether there is enough again. */
  #makeRoom(): boolean {
    const isMore = this.#turnLogOver() || this.#removeEnded() || this.#removeCleared();
    this.#file.checkpoint("TRUNCATE");
    if (!isMore) this.#takeReserve();
    this.#noteFull(this.#isTight && this.#file.freeBytes() < FREE_BYTES_MIN);
    return isMore;
  }

  /** Takes the whole reserve again, where the disk has more room than that. */
  #takeReserve(): void {
    if (this.#reserve.take(RESERVE_BYTES + ROOM_BYTES_MIN)) this.#reserve.keep(RESERVE_BYTES);
  }

  #noteFull(isFull: boolean): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    console.error(
      isFull
        ? "Keyline: the disk is full: PUT is refused until there is room"
        : "Keyline: there is room on the disk again, and PUT goes on",
    );
  }

  /** Frees what the log holds in vain, a part of it. False where that is not worth its while. */
  #turnLogOver(): boolean {
    let storedCount = 0;
    for (const { value } of this.#changes) storedCount += Number(value !== undefined);
    const { changeCount } = this.#log;
    if (storedCount >= (this.#isFull ? changeCount : changeCount / 2)) return false;
    const { plan, rewritten } = this.#log.planRewrite();
    this.#write({ changes: rewritten, isCleared: false, plan, canGrow: false });
    return true;
  }

  /** Gives up the reserve, so that the write-ahead log can be moved into the file and take no room. */
  #giveUpReserve(): void {
    this.#reserve.release();
    try {
      this.#file.checkpoint("TRUNCATE");
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw this.#noted(error);
    }
    this.#takeReserve(); // The disk may have been full of that log alone.
  }

  /** Reads from the file. Throws TableError. */
  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      // Once, because a client may ask for the same again and again.
      if (!this.#hasFailedToRead) console.error("Keyline cannot read the table:", error);
      this.#hasFailedToRead = true;
      throw this.#noted(tableError(error));
    }
  }

  /** Takes note of what a failure means for what comes next. */
  #noted(error: unknown): unknown {
    if (error instanceof TableError && error.fatal) this.#fault = error;
    if (error instanceof DiskFullError) {
      this.#giveUpReserve();
      this.#noteFull(this.#isTight);
    }
    return error;
  }
}

/** Copies the table of a folder to a file, also while a server has it open. Throws OpenError. */
export async function backUp(folder: string, file: string): Promise<void> {
  const source = `${folder}/${FILE_NAME}`;
  let isBegun = false;
  try {
    Deno.statSync(source);
    Deno.openSync(file, { createNew: true, write: true, mode: 0o600 }).close();
    isBegun = true;
    const db = new DatabaseSync(source, { readOnly: true });
    try {
      // All pages in one step: between steps a write of the server would make it begin again.
      await backup(db, file, { rate: 0x7fffffff });
    } finally {
      db.close();
    }
  } catch (error) {
    if (isBegun) Deno.removeSync(file);
    throw new OpenError(`Cannot back up ${source} to ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

interface Writing {
  readonly changes: readonly Change[];
  /** Whether all that was there before these changes is removed. */
  readonly isCleared: boolean;
  readonly plan: Plan;
  /** Whether the file may have to grow for it. */
  readonly canGrow: boolean;
}

/** Opens the table's file. Even that takes some room, which a full disk has only in the reserve. */
function openFile(folder: string): SqliteFile {
  try {
    return new SqliteFile(folder);
  } catch (error) {
    if (!isDiskFull(error) || !giveUpReserve(`${folder}/${RESERVE_NAME}`)) throw error;
    return new SqliteFile(folder);
  }
}

/** The changes in parts that each fit in a row of the log; an empty part where there are none. */
function partsOf(changes: readonly Change[]): (readonly Change[])[] {
  const ends: number[] = [];
  let size = 0;
  changes.forEach(({ key, value }, i) => {
    size += key.length + (value?.length ?? 0);
    if (size < LOG_ROW_SIZE_MAX) return;
    ends.push(i + 1);
    size = 0;
  });
  if (size > 0 || changes.length === 0) ends.push(changes.length);
  return ends.map((end, i) => changes.slice(ends[i - 1] ?? 0, end));
}

/** The first `limit` of these keys, in the order of their code points, without sorting them all. */
function firstOf(keys: string[], limit: number): string[] {
  let first: string[] = [];
  let last: string | undefined;
  for (const key of keys) {
    if (last !== undefined && compareCodePoints(key, last) >= 0) continue;
    first.push(key);
    if (first.length < 2 * limit + 2) continue;
    first = first.sort(compareCodePoints).slice(0, limit);
    last = first.at(-1);
  }
  return first.sort(compareCodePoints).slice(0, limit);
}
