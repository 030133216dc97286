/**
 * The durable table, and the one by default: SQLite in a folder.
 *
 * A key is looked for in four places, newest first: the changes of this turn, those of commits that
 * are in the log only, the cache of rows, the rows. A commit writes all changes of a turn as one row of
 * the log: one small append and one fdatasync, however many keys it touched. Where the log has grown,
 * the commit also moves its oldest changes into the rows; a key that has changed again since has none
 * there, so that hot keys cost no row at all.
 *
 * @module
 */

import { backup, DatabaseSync } from "node:sqlite";
import { DiskReserve, RESERVE_BYTES } from "./disk_reserve.ts";
import { EntryCache } from "./entry_cache.ts";
import { DiskFullError, FILE_NAME, OpenError, SqliteFile, tableError } from "./sqlite_file.ts";
import {
  type Clock,
  compareCodePoints,
  copyOf,
  type Entry,
  type Page,
  type Table,
  TableError,
} from "./table.ts";

/** Past this size of the log, in UTF-16 units, commits move changes into rows. Bounds a start, too. */
const LOG_SIZE_MAX = 8_388_608;
/** Past this many keys in the log, the same. */
const LOG_KEYS_MAX = 65_536;
/** The changes in one row of the log, in UTF-16 units of values: strings can't be of any length. */
const LOG_ROW_SIZE_MAX = 8_388_608;
/** How many keys a step of work that can wait takes on, and for how long, in milliseconds. */
const STEP_KEYS = 256;
const STEP_MS = 3;

/** A change that the rows don't have yet. */
interface Change {
  /** What is stored under the key now; undefined where it was removed. */
  readonly entry: Entry | undefined;
  /** When the key's row ends; Infinity where it does not, or where there is none. */
  readonly rowEnd: number;
}

/** A change that is durable in the log. */
interface LoggedChange extends Change {
  /** The row of the log that holds it. */
  readonly logId: number;
}

/** The options of a table on disk. */
export interface SqliteTableOptions {
  /** How much memory the cache of rows may take, in bytes. */
  readonly cacheBytes: number;
  readonly now?: Clock;
}

/** A table in SQLite. One process at a time has it open. */
export class SqliteTable implements Table {
  readonly place: string;
  readonly #now: Clock;
  readonly #file: SqliteFile;
  readonly #reserve: DiskReserve;
  readonly #cacheBytes: number;
  #cache: EntryCache;

  /** This turn's changes, and how to undo each, in their order. */
  #turn = new Map<string, Change>();
  #undo: (() => void)[] = [];
  /** Whether this turn has removed all that was there before its changes. */
  #isCleared = false;
  #keys: number;
  #version: number;

  /** The changes in the log, in the order in which they came; a key that changes again moves back. */
  #logged = new Map<string, LoggedChange>();
  /** The size of each row of the log, oldest first, and of all. */
  #logSizes = new Map<number, number>();
  #logSize = 0;
  #logId = 0;
  /** What the last row of the log says. */
  #durable: { keys: number; version: number };

  #isFull = false;
  #hasCleared = true;
  #fault: TableError | undefined;

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  constructor(folder: string, { cacheBytes, now = Date.now }: SqliteTableOptions) {
    this.place = folder;
    this.#now = now;
    this.#cacheBytes = cacheBytes;
    this.#cache = new EntryCache(cacheBytes);
    this.#file = new SqliteFile(folder);
    this.#reserve = new DiskReserve(`${folder}/keyline.reserve`);
    this.#durable = this.#readLog();
    ({ keys: this.#keys, version: this.#version } = this.#durable);
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
    this.#change(key, { value: copyOf(value), version, expiresAt });
    this.#version = version;
    return version;
  }

  expire(key: string, expiresAt: number): boolean {
    const entry = this.entry(key);
    if (entry !== undefined) this.#change(key, { ...entry, expiresAt });
    return entry !== undefined;
  }

  delete(key: string): void {
    this.#change(key, undefined);
  }

  clear(): void {
    const { turn, keys, isCleared } = {
      turn: this.#turn,
      keys: this.#keys,
      isCleared: this.#isCleared,
    };
    this.#undo.push(() => {
      this.#turn = turn;
      this.#keys = keys;
      this.#isCleared = isCleared;
    });
    this.#turn = new Map();
    this.#keys = 0;
    this.#isCleared = true;
  }

  count(): number {
    const now = this.#now();
    // Rows that have ended, but for those that a change hides; then the changes that have ended.
    let ended = this.#isCleared ? 0 : this.#read(() => this.#file.endedRowCount(now));
    for (const [, { entry, rowEnd }] of this.#changes()) {
      if (rowEnd <= now && !this.#isCleared) ended--;
      if (entry !== undefined && entry.expiresAt <= now) ended++;
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
      this.#write({ changes: this.#turn, isCleared: this.#isCleared });
    } catch (error) {
      this.undo(0);
      throw this.#noted(error);
    }
    this.#turn = new Map();
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
      log_keys: this.#logged.size,
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
    if (this.#turn.size > 0) {
      const change = this.#turn.get(key);
      if (change !== undefined) return change.entry;
    }
    if (this.#isCleared) return undefined;
    const logged = this.#logged.get(key);
    if (logged !== undefined) return logged.entry;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#read(() => this.#file.row(key));
    if (row !== undefined) this.#cache.set(copyOf(key), row);
    return row;
  }

  #hasEnded(expiresAt: number): boolean {
    return expiresAt !== Infinity && expiresAt <= this.#now();
  }

  #change(key: string, entry: Entry | undefined): void {
    const turn = this.#turn;
    const before = turn.get(key);
    const { isStored, rowEnd } = this.#stateOf(key);
    if (!isStored && entry === undefined) return;
    const keys = this.#keys;
    this.#undo.push(() => {
      this.#keys = keys;
      if (before === undefined) turn.delete(key);
      else turn.set(key, before);
    });
    this.#keys += Number(entry !== undefined) - Number(isStored);
    turn.set(before === undefined ? copyOf(key) : key, { entry, rowEnd });
  }

  /** Whether something is stored under a key, ended or not, and when the key's row ends. */
  #stateOf(key: string): { isStored: boolean; rowEnd: number } {
    const change = this.#turn.get(key) ?? (this.#isCleared ? NO_CHANGE : this.#logged.get(key));
    if (change !== undefined) {
      return { isStored: change.entry !== undefined, rowEnd: change.rowEnd };
    }
    const rowEnd = this.#cache.get(key)?.expiresAt ?? this.#read(() => this.#file.rowEnd(key));
    return { isStored: rowEnd !== undefined, rowEnd: rowEnd ?? Infinity };
  }

  /** Every key whose rows are not what is stored, once, with the newest change of it. */
  *#changes(): Generator<[key: string, change: Change]> {
    yield* this.#turn;
    if (this.#isCleared) return;
    for (const [key, change] of this.#logged) if (!this.#turn.has(key)) yield [key, change];
  }

  #keysOf({ prefix, after, limit }: Page): string[] {
    const isInPage = (key: string) =>
      key.startsWith(prefix) && (after === "" || compareCodePoints(key, after) > 0);
    const changed: string[] = [];
    const hidden = new Set<string>();
    for (const [key, { entry }] of this.#changes()) {
      if (!isInPage(key)) continue;
      hidden.add(key);
      if (entry !== undefined && !this.#hasEnded(entry.expiresAt)) changed.push(key);
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
   * Writes changes to the log. Where the log has grown too large, its oldest changes are moved to the
   * rows, as many as it takes, but not so many that this commit would become a long one.
   */
  #write({ changes, isCleared, movesMin = 0 }: Writing): void {
    const durable = { keys: this.#keys, version: this.#version };
    const limit = Math.max(movesMin, 2 * changes.size + STEP_KEYS);
    const { moves, keepFrom } = isCleared
      ? NO_MOVES
      : this.#planMoves({ changes, limit, movesMin });
    const added = new Map<number, { size: number; part: [string, Change][] }>();
    this.#file.transaction(() => {
      if (isCleared) this.#file.nextGeneration();
      for (const part of partsOf(changes)) {
        const id = this.#logId + added.size + 1;
        const size = this.#file.append({ id, ...durable, changes: part });
        added.set(id, { size, part });
      }
      for (const [key, { entry }] of moves) this.#file.setRow(key, entry);
      if (keepFrom > 0) this.#file.trimLog(keepFrom);
    });
    this.#durable = durable;
    if (isCleared) this.#forgetCleared();
    for (const [key, { entry }] of moves) {
      this.#logged.delete(key);
      if (entry === undefined) this.#cache.delete(key);
      else this.#cache.set(key, entry);
    }
    for (const [id, size] of this.#logSizes) {
      if (id >= keepFrom) break;
      this.#logSizes.delete(id);
      this.#logSize -= size;
    }
    for (const [id, { size, part }] of added) this.#noteLogRow({ id, size, part });
  }

  /** Which changes to move to the rows, oldest first, and from which row on the log is kept then. */
  #planMoves(
    { changes, limit, movesMin }: { changes: Changes; limit: number; movesMin: number },
  ): Moves {
    let size = this.#logSize;
    let keys = this.#logged.size;
    const moves: [string, Change][] = [];
    const sizes = this.#logSizes.entries();
    let oldest = sizes.next();
    for (const [key, change] of this.#logged) {
      for (; !oldest.done && oldest.value[0] < change.logId; oldest = sizes.next()) {
        size -= oldest.value[1];
      }
      const isSmall = size <= LOG_SIZE_MAX && keys <= LOG_KEYS_MAX && moves.length >= movesMin;
      if (isSmall || moves.length >= limit) {
        return { moves, keepFrom: size < this.#logSize ? change.logId : 0 };
      }
      keys--;
      if (!changes.has(key)) moves.push([key, change]);
    }
    // The last row stays: it tells the number of keys and the last version.
    return { moves, keepFrom: this.#logId };
  }

  #noteLogRow({ id, size, part }: { id: number; size: number; part: [string, Change][] }): void {
    this.#logId = id;
    this.#logSizes.set(id, size);
    this.#logSize += size;
    for (const [key, { entry, rowEnd }] of part) {
      this.#logged.delete(key); // So that it moves to the end of the order.
      this.#logged.set(key, { entry, rowEnd, logId: id });
    }
  }

  #forgetCleared(): void {
    this.#logged = new Map();
    this.#logSizes = new Map();
    this.#logSize = 0;
    this.#cache = new EntryCache(this.#cacheBytes);
    this.#hasCleared = true;
  }

  /** Takes up what the log holds, at the start; returns what its last row says. */
  #readLog(): { keys: number; version: number } {
    const canEnd = this.#file.endedRowCount(Infinity) > 0;
    let last = { keys: 0, version: 0 };
    for (const { id, keys, version, size, changes } of this.#file.log()) {
      const part: [string, Change][] = [];
      for (const [key, { entry }] of changes) {
        part.push([key, {
          entry,
          rowEnd: (canEnd ? this.#file.rowEnd(key) : undefined) ?? Infinity,
        }]);
      }
      this.#noteLogRow({ id, size, part });
      last = { keys, version };
    }
    return last;
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
        this.#file.setRow(key, undefined);
        ended.push(key);
        // A key that has changed since is counted by its change, not by its row.
        if (!this.#logged.has(key)) keys--;
        if (performance.now() > until) break;
      }
      this.#file.amendLog(this.#logId, keys);
    });
    this.#keys = keys;
    this.#durable = { ...this.#durable, keys };
    for (const key of ended) {
      this.#cache.delete(key);
      const change = this.#logged.get(key);
      if (change !== undefined) this.#logged.set(key, { ...change, rowEnd: Infinity });
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
    if (this.#logged.size > 0) {
      this.#write({ changes: new Map(), isCleared: false, movesMin: STEP_KEYS });
    }
    const isMore = this.#logged.size > 0 || this.#removeEnded() || this.#removeCleared();
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

type Changes = Map<string, Change>;

interface Writing {
  readonly changes: Changes;
  /** Whether all that was there before these changes is removed. */
  readonly isCleared: boolean;
  /** How many changes to move to the rows, at least, where the log has so many. */
  readonly movesMin?: number;
}

interface Moves {
  readonly moves: [string, Change][];
  /** The first row of the log to keep; 0 for all. */
  readonly keepFrom: number;
}

const NO_CHANGE: Change = { entry: undefined, rowEnd: Infinity };
const NO_MOVES: Moves = { moves: [], keepFrom: 0 };

/** The changes in parts that each fit in a row of the log; a single empty one where there are none. */
function* partsOf(changes: Changes): Generator<[string, Change][]> {
  let part: [string, Change][] = [];
  let size = 0;
  for (const [key, change] of changes) {
    part.push([key, change]);
    size += change.entry?.value.length ?? 0;
    if (size < LOG_ROW_SIZE_MAX) continue;
    yield part;
    part = [];
    size = 0;
  }
  yield part;
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
