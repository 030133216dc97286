/**
 * The durable table, and the one by default: SQLite in a folder.
 *
 * A key is looked for in three places, newest first: the changes that the rows don't have yet, the
 * cache of rows, the rows. A commit writes all changes of a turn as one row of the log: one small append
 * and one fdatasync, however many keys it touched. Where the log has grown too large, the commit also
 * moves the changes of its oldest rows into `entries`; one that a later row replaces has nothing to
 * move, so that hot keys cost no row at all.
 *
 * @module
 */

import { backup, DatabaseSync } from "node:sqlite";
import { DiskReserve, RESERVE_BYTES } from "./disk_reserve.ts";
import { EntryCache } from "./entry_cache.ts";
import {
  DiskFullError,
  FILE_NAME,
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
  type Page,
  type Table,
  TableError,
} from "./table.ts";

/** Past so many changes in the log, commits move the oldest into rows. This bounds a start, too. */
const LOG_CHANGES_MAX = 131_072;
/** The same for the size of the log, in UTF-16 units. */
const LOG_SIZE_MAX = 8_388_608;
/** The values in one row of the log, in UTF-16 units: strings can't be of any length. */
const LOG_ROW_SIZE_MAX = 8_388_608;
/** The logId of a change that no commit has written yet. */
const UNLOGGED = 0;
/** How many keys a step of work that can wait takes on, and for how long, in milliseconds. */
const STEP_KEYS = 256;
const STEP_MS = 3;

/** A change that the rows don't have yet: what is stored under a key now, or that it was removed. */
type Change = (Entry | Removed) & {
  /** When the key's row ends; Infinity where it does not, or where there is none. */
  rowEnd: number;
  /** The row of the log that holds this change, or UNLOGGED. */
  logId: number;
};

/** What is remembered of a row of the log. */
interface LogRow {
  readonly id: number;
  readonly size: number;
  /** The keys that it changed; those that a later row has changed since need no move. */
  readonly keys: string[];
  /** How many of them have been looked at for a move. */
  movedCount: number;
}

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
  readonly #logChangesMax: number;
  #cache: EntryCache;

  /** The newest change of each key, this turn's included. */
  #changes = new Map<string, Change>();
  /** The keys that this turn has changed, and how to undo each change, in their order. */
  #turn: string[] = [];
  #undo: (() => void)[] = [];
  /** Whether this turn has removed all that was there before its changes. */
  #isCleared = false;
  /** How many keys are stored, those included that have ended and are not removed yet. */
  #keys = 0;
  #version = 0;

  /** The rows of the log; those before the oldest have nothing left to move, and are gone. */
  #log: LogRow[] = [];
  #oldest = 0;
  #logId = 0;
  #logSize = 0;
  #logChanges = 0;

  #isFull = false;
  #hasCleared = true;
  #fault: TableError | undefined;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(
    folder: string,
    { cacheBytes, now = Date.now, logChangesMax = LOG_CHANGES_MAX }: SqliteTableOptions,
  ) {
    this.place = folder;
    this.#now = now;
    this.#logChangesMax = logChangesMax;
    this.#cacheBytes = cacheBytes;
    this.#cache = new EntryCache(cacheBytes);
    this.#file = new SqliteFile(folder);
    this.#reserve = new DiskReserve(`${folder}/keyline.reserve`);
    this.#readLog();
  }

  get(key: string): string | undefined {
    return this.entry(key)?.value;
  }

  entry(key: string): Entry | undefined {
    const entry = this.#find(key);
    return entry === undefined || this.#hasEnded(entry.expiresAt) ? undefined : entry;
  }

  put(key: string, value: string, { expiresAt } = { expiresAt: Infinity }): number {
    if (this.#isFull) throw new DiskFullError();
    const version = this.#version + 1;
    this.#change(key, copyOf(value), { version, expiresAt });
    this.#version = version;
    return version;
  }

  expire(key: string, expiresAt: number): boolean {
    const entry = this.entry(key);
    if (entry !== undefined) this.#change(key, entry.value, { version: entry.version, expiresAt });
    return entry !== undefined;
  }

  delete(key: string): void {
    this.#change(key, undefined, NEVER);
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
    this.#changes = new Map();
    this.#turn = [];
    this.#keys = 0;
    this.#isCleared = true;
  }

  count(): number {
    const now = this.#now();
    // Rows that have ended, but for those that a change hides; then the changes that have ended.
    let ended = this.#isCleared ? 0 : this.#read(() => this.#file.endedRowCount(now));
    for (const { value, expiresAt, rowEnd } of this.#changes.values()) {
      if (rowEnd <= now && !this.#isCleared) ended--;
      if (value !== undefined && expiresAt <= now) ended++;
    }
    return this.#keys - ended;
  }

  keys(page: Page): string[] {
    return this.#read(() => this.#keysOf(page));
  }

  commit(): boolean {
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#undo.length === 0) return false;
    try {
      this.#write({ keys: this.#turn, isCleared: this.#isCleared });
    } catch (error) {
      this.undo(0);
      throw this.#noted(error);
    }
    this.#turn = [];
    this.#undo = [];
    this.#isCleared = false;
    return true;
  }

  mark(): number {
    return this.#undo.length;
  }

  undo(mark: number): void {
    while (this.#undo.length > mark) this.#undo.pop()!();
  }

  tend(): boolean {
    if (this.#fault !== undefined) return false;
    if (this.#undo.length > 0) return true; // In the middle of a turn: a little later.
    try {
      if (this.#isFull) return this.#makeRoom();
      return this.#removeEnded() || this.#removeCleared();
    } catch (error) {
      this.#noted(error);
      return false;
    }
  }

  figures(): Record<string, number> {
    const { bytes, entries, hits, misses } = this.#cache.figures;
    return {
      disk_bytes: this.#read(() => this.#file.size().bytes),
      log_changes: this.#logChanges,
      cache_bytes: bytes,
      cache_entries: entries,
      cache_hits: hits,
      cache_misses: misses,
    };
  }

  close(): void {
    this.#file.close();
    this.#reserve.close();
  }

  #find(key: string): Entry | undefined {
    const change = this.#changes.get(key);
    if (change !== undefined) return change.value === undefined ? undefined : change;
    if (this.#isCleared) return undefined;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#read(() => this.#file.row(key));
    if (row !== undefined) this.#cache.set(copyOf(key), row);
    return row;
  }

  #hasEnded(expiresAt: number): boolean {
    return expiresAt !== Infinity && expiresAt <= this.#now();
  }

  #change(
    key: string,
    value: string | undefined,
    { version, expiresAt }: Omit<Entry, "value">,
  ): void {
    const before = this.#changes.get(key);
    const { isStored, rowEnd } = this.#stateOf(key, before);
    if (!isStored && value === undefined) return;
    const keys = this.#keys;
    const turnLength = this.#turn.length;
    this.#undo.push(() => {
      this.#keys = keys;
      this.#turn.length = turnLength;
      if (before === undefined) this.#changes.delete(key);
      else this.#changes.set(key, before);
    });
    const own = before === undefined ? copyOf(key) : key;
    if (before?.logId !== UNLOGGED) this.#turn.push(own);
    this.#keys += Number(value !== undefined) - Number(isStored);
    this.#changes.set(own, { value, version, expiresAt, rowEnd, logId: UNLOGGED });
  }

  /** Whether something is stored under a key, ended or not, and when the key's row ends. */
  #stateOf(key: string, change: Change | undefined): { isStored: boolean; rowEnd: number } {
    if (change !== undefined) {
      return { isStored: change.value !== undefined, rowEnd: change.rowEnd };
    }
    if (this.#isCleared) return { isStored: false, rowEnd: Infinity };
    const rowEnd = this.#cache.get(key)?.expiresAt ?? this.#read(() => this.#file.rowEnd(key));
    return { isStored: rowEnd !== undefined, rowEnd: rowEnd ?? Infinity };
  }

  #keysOf({ prefix, after, limit }: Page): string[] {
    const isInPage = (key: string) =>
      key.startsWith(prefix) && (after === "" || compareCodePoints(key, after) > 0);
    const changed: string[] = [];
    const hidden = new Set<string>();
    for (const [key, { value, expiresAt }] of this.#changes) {
      if (!isInPage(key)) continue;
      hidden.add(key);
      if (value !== undefined && !this.#hasEnded(expiresAt)) changed.push(key);
    }
    const found: string[] = [];
    const first = compareCodePoints(after, prefix) > 0 ? after : prefix;
    const rows = this.#isCleared ? [] : this.#file.rowsFrom(first);
    for (const { key, expiresAt } of rows) {
      if (found.length === limit || !key.startsWith(prefix)) break;
      if (key !== after && !hidden.has(key) && !this.#hasEnded(expiresAt)) found.push(key);
    }
    return firstOf([...found, ...changed], limit);
  }

  /**
   * Writes the changes of these keys to the log. Where the log has grown too large, its oldest changes
   * are moved to rows, as many as it takes, but not so many that this commit would become a long one.
   */
  #write({ keys, isCleared, movesMin = 0 }: Writing): void {
    const limit = Math.max(movesMin, 2 * keys.length + STEP_KEYS);
    const { moves, oldest, movedCount } = isCleared
      ? NO_MOVES
      : this.#planMoves({ limit, movesMin });
    const added: LogRow[] = [];
    this.#file.transaction(() => {
      if (isCleared) this.#file.nextGeneration();
      for (const part of this.#partsOf(keys)) {
        const id = this.#logId + added.length + 1;
        const changes = part.map((key) => [key, this.#changes.get(key)!] as const);
        const row = { id, keys: this.#keys, version: this.#version, changes };
        added.push({ id, size: this.#file.append(row), keys: part, movedCount: 0 });
      }
      for (const [key, change] of moves) this.#file.setRow(key, change);
      if (oldest > this.#oldest) this.#file.trimLog((this.#log[oldest] ?? added[0]!).id);
    });
    if (isCleared) this.#forgetCleared();
    else this.#noteMoves({ moves, oldest, movedCount });
    for (const row of added) {
      this.#noteLogRow(row);
      for (const key of row.keys) this.#changes.get(key)!.logId = row.id;
    }
  }

  /** Which changes to move to rows, oldest first, and where the log begins then. */
  #planMoves({ limit, movesMin }: { limit: number; movesMin: number }): Moves {
    const moves: [string, Change][] = [];
    let size = this.#logSize;
    let count = this.#logChanges;
    let oldest = this.#oldest;
    for (; oldest < this.#log.length; oldest++) {
      const isSmall = size <= LOG_SIZE_MAX && count <= this.#logChangesMax;
      if (isSmall && moves.length >= movesMin) break;
      const row = this.#log[oldest]!;
      for (let i = row.movedCount; i < row.keys.length; i++) {
        if (moves.length === limit) return { moves, oldest, movedCount: i };
        const change = this.#changes.get(row.keys[i]!);
        if (change?.logId === row.id) moves.push([row.keys[i]!, change]);
      }
      size -= row.size;
      count -= row.keys.length;
    }
    return { moves, oldest, movedCount: 0 };
  }

  #noteMoves({ moves, oldest, movedCount }: Moves): void {
    for (const [key, change] of moves) {
      this.#changes.delete(key);
      if (change.value === undefined) this.#cache.delete(key);
      else this.#cache.set(key, change);
    }
    for (; this.#oldest < oldest; this.#oldest++) {
      const row = this.#log[this.#oldest]!;
      this.#logSize -= row.size;
      this.#logChanges -= row.keys.length;
    }
    const row = this.#log[oldest];
    if (row !== undefined) row.movedCount = Math.max(row.movedCount, movedCount);
    // Dropped by halves, because dropping them one by one would move all others each time.
    if (2 * this.#oldest > this.#log.length) {
      this.#log = this.#log.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  #noteLogRow(row: LogRow): void {
    this.#log.push(row);
    this.#logId = row.id;
    this.#logSize += row.size;
    this.#logChanges += row.keys.length;
  }

  #forgetCleared(): void {
    this.#log = [];
    this.#oldest = 0;
    this.#logSize = 0;
    this.#logChanges = 0;
    this.#cache = new EntryCache(this.#cacheBytes);
    this.#hasCleared = true;
  }

  /** The keys in parts whose values fit in a row of the log; an empty part where there are none. */
  *#partsOf(keys: string[]): Generator<string[]> {
    let part: string[] = [];
    let size = 0;
    for (const key of keys) {
      part.push(key);
      size += this.#changes.get(key)?.value?.length ?? 0;
      if (size < LOG_ROW_SIZE_MAX) continue;
      yield part;
      part = [];
      size = 0;
    }
    if (part.length > 0 || keys.length === 0) yield part;
  }

  /** Takes up what the log holds, at the start. */
  #readLog(): void {
    const canEnd = this.#file.endedRowCount(Infinity) > 0;
    for (const { id, keys, version, size, changes } of this.#file.log()) {
      const changed: string[] = [];
      for (const [key, stored] of changes) {
        const rowEnd = (canEnd ? this.#file.rowEnd(key) : undefined) ?? Infinity;
        this.#changes.set(key, { ...stored, rowEnd, logId: id });
        changed.push(key);
      }
      this.#noteLogRow({ id, size, keys: changed, movedCount: 0 });
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
        if (!this.#changes.has(key)) keys--;
        if (performance.now() > until) break;
      }
      this.#file.amendLog(this.#logId, keys);
    });
    this.#keys = keys;
    for (const key of ended) {
      this.#cache.delete(key);
      const change = this.#changes.get(key);
      if (change !== undefined) change.rowEnd = Infinity;
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
    return this.#hasCleared;
  }

  /** On a full disk: works off what only takes room, and looks whether there is enough again. */
  #makeRoom(): boolean {
    if (this.#changes.size > 0) this.#write({ keys: [], isCleared: false, movesMin: STEP_KEYS });
    const isMore = this.#changes.size > 0 || this.#removeEnded() || this.#removeCleared();
    this.#file.checkpoint();
    if (isMore) return true;
    if (this.#reserve.take() || this.#file.size().freeBytes > RESERVE_BYTES) {
      this.#isFull = false;
      console.error("Keyline: there is room on the disk again, and PUT goes on");
    }
    return false;
  }

  /** Reads from the file. Throws TableError. */
  #read<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      throw this.#noted(tableError(error));
    }
  }

  /** Takes note of what a failure means for what comes next. */
  #noted(error: unknown): unknown {
    if (error instanceof TableError && error.fatal) this.#fault = error;
    if (error instanceof DiskFullError && !this.#isFull) {
      this.#isFull = true;
      this.#reserve.release();
      console.error("Keyline: the disk is full: PUT is refused until there is room");
    }
    return error;
  }
}

/** Copies the table of a folder to a file, also while a server has it open. Throws OpenError. */
export async function backUp(folder: string, file: string): Promise<void> {
  const source = `${folder}/${FILE_NAME}`;
  try {
    Deno.statSync(source);
    using draft = Deno.openSync(file, { createNew: true, write: true });
    draft.close();
  } catch (error) {
    throw new OpenError(`Cannot back up ${source} to ${file}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const db = new DatabaseSync(source, { readOnly: true });
  // All pages in one step: between steps a write of the server would make it begin again.
  await backup(db, file, { rate: 0x7fffffff });
  db.close();
}

interface Writing {
  readonly keys: string[];
  /** Whether all that was there before these changes is removed. */
  readonly isCleared: boolean;
  /** How many changes to move to rows, at least, where the log has so many. */
  readonly movesMin?: number;
}

interface Moves {
  readonly moves: [string, Change][];
  /** The first row of the log that is kept. */
  readonly oldest: number;
  /** How many of its keys have been looked at. */
  readonly movedCount: number;
}

const NEVER = { version: 0, expiresAt: Infinity };
const NO_MOVES: Moves = { moves: [], oldest: 0, movedCount: 0 };

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
