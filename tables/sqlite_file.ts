/**
 * The file behind `sqlite_table.ts`: how it is opened, checked, created, upgraded and locked, and each
 * SQL statement that touches it.
 *
 * Two kinds of table are in it. `entries_N` holds a row for each key; CLEAR begins the next N, and the
 * rows of earlier ones are removed a few at a time. `log` holds a row for each commit whose changes are
 * not in `entries_N` yet; its last row also tells N, the number of keys, and the last version given.
 *
 * @module
 */

import { DatabaseSync, type StatementResultingChanges, type StatementSync } from "node:sqlite";
import { writeZeros } from "./disk_reserve.ts";
import { copyOf, type Entry, TableError } from "./table.ts";

/** What a commit adds to the log. */
export interface LogRow {
  /** One more than that of the row before. */
  readonly id: number;
  /** How many keys the table has since this commit. */
  readonly keys: number;
  /** The last version that was given. */
  readonly version: number;
  /** What is stored now under each changed key. */
  readonly changes: Iterable<Entry | Removed>;
}

/** Stands in the place of an entry for a key that was removed. */
export interface Removed {
  /** The key. */
  readonly key: string;
  /** Nothing is stored. */
  readonly value: undefined;
  /** 0 */
  readonly version: number;
  /** null */
  readonly expiresAt: null;
}

/** A start that can't be: the message, for the person at the terminal, names the file and the mend. */
export class OpenError extends Error {}

/** "KEYL": marks our files (the application_id of https://sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x4b45594c;
/** The name of the table's file in its folder. */
export const FILE_NAME = "keyline.db";
const LOCK_NAME = "keyline.lock";
const PAGE_BYTES = 4_096;
/** How many rows are removed at a time: few enough for a moment, if each holds a large value. */
const REMOVE_ROWS = 16;
/** Files up to this many bytes are checked whole when they are opened; larger ones at their ends. */
const CHECK_BYTES_MAX = 33_554_432;
/** How large the write-ahead log is from the start: about as large as it grows before it is moved. */
const WAL_BYTES = 16_777_216;
/** SQLite's own cache of pages, in KiB. Ours holds entries; this one serves misses and scans. */
const PAGE_CACHE_KIB = 16_384;

/** https://sqlite.org/rescode.html, their primary codes. */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
/** The shared memory beside the write-ahead log is a file that needs room, too. */
const SQLITE_IOERR_SHMSIZE = 4_874;

/** Upgrade i takes a file of schema version i to i + 1; a new file takes them all. */
const UPGRADES: readonly ((db: DatabaseSync) => void)[] = [
  (db) => {
    db.exec(`
      CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        generation INTEGER NOT NULL,
        keys INTEGER NOT NULL,
        version INTEGER NOT NULL,
        changes TEXT NOT NULL
      ) STRICT;
      CREATE TABLE entries_1 (key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
      INSERT INTO log VALUES (1, 1, 0, 0, '[]');
    `);
  },
  (db) => { // keys may end
    for (const n of generationsOf(db)) {
      db.exec(`ALTER TABLE entries_${n} ADD COLUMN expires INTEGER; ${endsIndex(n)}`);
    }
  },
];

/** An open file. It is the only one that has it open for writing, in this process and others. */
export class SqliteFile {
  readonly #db: DatabaseSync;
  readonly #lock: Deno.FsFile;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #append: StatementSync;
  readonly #amend: StatementSync;
  readonly #trim: StatementSync;
  readonly #pageCount: StatementSync;
  readonly #freePages: StatementSync;
  readonly #unmoved: StatementSync;
  /** The size of the file, which grows when the write-ahead log is moved into it. */
  #bytes: number;
  #generation: number;
  #rows: RowStatements;
  /** Prepared once for all rows: thousands of statements would stop everyone when they are collected. */
  #removal: { entries: string; statement: StatementSync } | undefined;

  /** Opens the table's file in a folder, or creates both. Throws OpenError. */
  constructor(folder: string) {
    this.#lock = lockFolder(folder);
    try {
      this.#db = openChecked(`${folder}/${FILE_NAME}`);
      fill(`${folder}/${FILE_NAME}-wal`, WAL_BYTES);
      this.#begin = this.#db.prepare("BEGIN IMMEDIATE");
      this.#commit = this.#db.prepare("COMMIT");
      this.#rollback = this.#db.prepare("ROLLBACK");
      this.#append = this.#db.prepare("INSERT INTO log VALUES (?, ?, ?, ?, ?)");
      this.#amend = this.#db.prepare("UPDATE log SET keys = ? WHERE id = ?");
      this.#trim = this.#db.prepare("DELETE FROM log WHERE id < ?");
      this.#pageCount = this.#db.prepare("PRAGMA page_count");
      this.#freePages = this.#db.prepare("PRAGMA freelist_count");
      // NOOP moves nothing. https://sqlite.org/pragma.html#pragma_wal_checkpoint
      this.#unmoved = this.#db.prepare("PRAGMA wal_checkpoint(NOOP)");
      this.#bytes = Deno.statSync(`${folder}/${FILE_NAME}`).size;
      const last = this.#db.prepare("SELECT generation FROM log ORDER BY id DESC LIMIT 1").get();
      this.#generation = last!.generation as number;
      this.#rows = new RowStatements(this.#db, this.#generation);
    } catch (error) {
      this.#lock.close();
      throw error;
    }
  }

  /** Runs `write` in a transaction, which is durable on return. Throws TableError, all undone. */
  transaction(write: () => void): void {
    const generation = this.#generation;
    try {
      this.#begin.run();
      write();
      this.#commit.run();
    } catch (error) {
      this.#rollBack();
      if (this.#generation !== generation) this.#setGeneration(generation);
      throw tableError(error);
    }
  }

  /** The rows of the log, oldest first, and the size of their changes in UTF-16 units. */
  *log(): Generator<LogRow & { size: number }> {
    for (const row of this.#db.prepare("SELECT * FROM log ORDER BY id").iterate()) {
      const { id, keys, version, changes } = row as unknown as {
        id: number;
        keys: number;
        version: number;
        changes: string;
      };
      yield { id, keys, version, changes: decodeChanges(changes), size: changes.length };
    }
  }

  /** Adds a row to the log; returns the size of its changes in UTF-16 units. */
  append({ id, keys, version, changes }: LogRow): number {
    const encoded = encodeChanges(changes);
    this.#append.run(id, this.#generation, keys, version, encoded);
    return encoded.length;
  }

  /** Corrects the number of keys in a row of the log. */
  amendLog(id: number, keys: number): void {
    this.#amend.run(keys, id);
  }

  /** Removes the rows of the log before this one. */
  trimLog(before: number): void {
    this.#trim.run(before);
  }

  /** The row of a key. */
  row(key: string): Entry | undefined {
    const row = this.#rows.get.get(key) as unknown as Row | undefined;
    if (row === undefined) return undefined;
    const { value, version, expires } = row;
    return { key: copyOf(key), value, version, expiresAt: expires };
  }

  /** When the row of a key ends, in milliseconds since 1970, or null; undefined without a row. */
  rowEnd(key: string): number | null | undefined {
    const row = this.#rows.getEnd.get(key) as unknown as Row | undefined;
    return row?.expires;
  }

  /** Makes the row of a key what is stored under it now. */
  setRow({ key, value, version, expiresAt }: Entry | Removed): void {
    if (value === undefined) return this.deleteRow(key);
    this.#rows.put.run(key, value, version, expiresAt);
  }

  /** Removes the row of a key, if there is one. */
  deleteRow(key: string): void {
    this.#rows.delete.run(key);
  }

  /** The keys of rows in order, from this one on, with their ends. */
  *rowsFrom(key: string): Generator<{ key: string; expiresAt: number | null }> {
    for (const row of this.#rows.from.iterate(key)) {
      const { key, expires } = row as unknown as Row;
      yield { key, expiresAt: expires };
    }
  }

  /** How many rows have ended at `now`, in milliseconds since 1970. */
  endedRowCount(now: number): number {
    return this.#rows.countEnded.get(now)!.count as number;
  }

  /** The keys of rows that have ended at `now`, some `limit` of them. */
  endedRows(now: number, limit: number): string[] {
    return this.#rows.ended.all(now, limit).map((row) => (row as unknown as Row).key);
  }

  /** Begins with no rows, and an empty log to which the next `append` belongs. */
  nextGeneration(): void {
    // The log first: on a full disk the new tables stand where it stood.
    this.#run("DELETE FROM log");
    const next = Math.max(...generationsOf(this.#db)) + 1;
    this.#run(`CREATE TABLE entries_${next} (key TEXT PRIMARY KEY, value TEXT NOT NULL,
      version INTEGER NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID`);
    this.#run(endsIndex(next));
    this.#setGeneration(next);
  }

  /** Removes a few rows that CLEAR left behind; false where none are left. */
  removeCleared(): boolean {
    this.#removal ??= this.#oldRows();
    if (this.#removal === undefined) return false;
    const { entries, statement } = this.#removal;
    if (statement.run().changes > 0) return true;
    this.#removal = undefined;
    this.#run(`DROP TABLE ${entries}`);
    return true;
  }

  /** A table of rows that CLEAR left behind, and the statement that removes a few of them. */
  #oldRows(): { entries: string; statement: StatementSync } | undefined {
    const old = generationsOf(this.#db).find((n) => n !== this.#generation);
    if (old === undefined) return undefined;
    const entries = `entries_${old}`;
    const sql =
      `DELETE FROM ${entries} WHERE key IN (SELECT key FROM ${entries} LIMIT ${REMOVE_ROWS})`;
    return { entries, statement: this.#db.prepare(sql) };
  }

  /** The size of the table in bytes. */
  bytes(): number {
    return this.#pageCount.get()!.page_count as number * PAGE_BYTES;
  }

  /** How much of that is free. */
  freeBytes(): number {
    return this.#freePages.get()!.freelist_count as number * PAGE_BYTES;
  }

  /**
   * By how many bytes the file is still to grow: by what is in the write-ahead log alone, and by what a
   * transaction that is under way has added.
   */
  growth(): number {
    return this.bytes() - this.#bytes;
  }

  /** How many pages of the write-ahead log are not moved into the file. */
  unmovedPages(): number {
    const { log, checkpointed } = this.#unmoved.get() as unknown as Checkpoint;
    return log - checkpointed;
  }

  /**
   * Moves the write-ahead log into the file, as far as no backup is reading it. TRUNCATE gives its room
   * back, too. Throws TableError.
   */
  checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    try {
      const moved = this.#db.prepare(`PRAGMA wal_checkpoint(${mode})`).get();
      const { log, checkpointed } = moved as unknown as Checkpoint;
      if (log === checkpointed) this.#bytes = this.bytes();
    } catch (error) {
      throw tableError(error);
    }
  }

  /** Moves the write-ahead log into the file, and lets others have the folder. */
  close(): void {
    this.#db.close();
    // A process that was forked at this moment would hold the file open, and the lock with it.
    this.#lock.unlockSync();
    this.#lock.close();
  }

  /** Not `exec`, whose errors don't say what they are. */
  #run(sql: string): StatementResultingChanges {
    return this.#db.prepare(sql).run();
  }

  #setGeneration(generation: number): void {
    this.#generation = generation;
    this.#rows = new RowStatements(this.#db, generation);
  }

  #rollBack(): void {
    try {
      this.#rollback.run();
    } catch {
      // SQLite has done it already, as after a full disk.
    }
  }
}

interface Row {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly expires: number | null;
}

/** How many pages the write-ahead log has, and how many of them are moved into the file. */
interface Checkpoint {
  readonly log: number;
  readonly checkpointed: number;
}

/** The statements on the rows of one generation. */
class RowStatements {
  readonly get: StatementSync;
  readonly getEnd: StatementSync;
  readonly put: StatementSync;
  readonly delete: StatementSync;
  readonly from: StatementSync;
  readonly countEnded: StatementSync;
  readonly ended: StatementSync;

  constructor(db: DatabaseSync, generation: number) {
    const entries = `entries_${generation}`;
    this.get = db.prepare(`SELECT value, version, expires FROM ${entries} WHERE key = ?`);
    this.getEnd = db.prepare(`SELECT expires FROM ${entries} WHERE key = ?`);
    this.put = db.prepare(`REPLACE INTO ${entries} VALUES (?, ?, ?, ?)`);
    this.delete = db.prepare(`DELETE FROM ${entries} WHERE key = ?`);
    this.from = db.prepare(`SELECT key, expires FROM ${entries} WHERE key >= ? ORDER BY key`);
    this.countEnded = db.prepare(`SELECT count(*) AS count FROM ${entries} WHERE expires <= ?`);
    this.ended = db.prepare(`SELECT key FROM ${entries} WHERE expires <= ? LIMIT ?`);
  }
}

function endsIndex(generation: number): string {
  return `CREATE INDEX ends_${generation} ON entries_${generation} (expires)
    WHERE expires IS NOT NULL;`;
}

function generationsOf(db: DatabaseSync): number[] {
  return db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'entries_*'")
    .all().map(({ name }) => Number((name as string).slice("entries_".length)));
}

/** A flat JSON array, four items for each change: a flat one is made twice as fast as a nested one. */
function encodeChanges(changes: LogRow["changes"]): string {
  const items: (string | number | null)[] = [];
  for (const { key, value, version, expiresAt } of changes) {
    items.push(key, value ?? null, version, expiresAt);
  }
  return JSON.stringify(items);
}

function* decodeChanges(encoded: string): Generator<Entry | Removed> {
  const items = JSON.parse(encoded);
  for (let i = 0; i < items.length; i += 4) {
    const [key, value, version, expires] = items.slice(i, i + 4);
    yield { key, value: value ?? undefined, version, expiresAt: expires };
  }
}

/** What went wrong in SQLite, in words for clients. A failed fsync is an I/O error, and the end. */
export function tableError(cause: unknown): TableError {
  if (cause instanceof TableError) return cause;
  if (isDiskFull(cause)) return new DiskFullError({ cause });
  // Not SQLite's: a text that is longer than V8 can make, or a mistake of ours. The disk is well.
  const isOurs = cause instanceof RangeError || cause instanceof TypeError;
  if (isOurs) return new TableError("internal error", { cause });
  const code = ((cause as { errcode?: number }).errcode ?? 0) & 0xff;
  if (code === SQLITE_BUSY) {
    return new TableError("another program holds the table's file", { cause });
  }
  if (code === SQLITE_CORRUPT) return new TableError("the table's file is damaged", { cause });
  return new TableError("the table's file can't be read or written", { cause, fatal: true });
}

/** Whether an error of SQLite, or the cause of an OpenError, says that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const { errcode } = ((error instanceof OpenError ? error.cause : error) ?? {}) as {
    errcode?: number;
  };
  return errcode === SQLITE_FULL || errcode === SQLITE_IOERR_SHMSIZE;
}

/** No room is left on the disk. It passes once there is room again. */
export class DiskFullError extends TableError {
  /** Says to clients what goes on. */
  constructor(options?: ErrorOptions) {
    super("disk full; GET, DELETE and CLEAR go on", options);
  }
}

/** Takes the folder for this process. The system gives it back when the process ends, however it ends. */
function lockFolder(folder: string): Deno.FsFile {
  const path = `${folder}/${LOCK_NAME}`;
  let lock: Deno.FsFile;
  try {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    lock = Deno.openSync(path, { create: true, read: true, write: true });
  } catch (error) {
    throw new OpenError(
      `Cannot open the table in ${folder}: ${messageOf(error)}. ` +
        "Make it a folder that this user can write to, or choose another one with --data.",
      { cause: error },
    );
  }
  if (!lock.tryLockSync(true)) {
    const holder = Deno.readTextFileSync(path).trim();
    lock.close();
    throw new OpenError(
      `Cannot open the table in ${folder}: ${holder || "another process"} is using it. ` +
        "End that one, or choose another folder with --data.",
    );
  }
  lock.truncateSync();
  lock.writeSync(
    new TextEncoder().encode(`process ${Deno.pid}, since ${new Date().toISOString()}\n`),
  );
  return lock;
}

function openChecked(path: string): DatabaseSync {
  try {
    if (!exists(path)) create(path);
    const version = checkHeader(path);
    checkContents(path);
    const db = new DatabaseSync(path);
    prepareDatabase(db);
    upgrade(db, version);
    return db;
  } catch (error) {
    if (error instanceof OpenError) throw error;
    throw new OpenError(
      `Cannot open ${path}: ${messageOf(error)}. It was left as it is: restore a backup, or ` +
        "choose another folder with --data.",
      { cause: error },
    );
  }
}

/** Makes the file under another name first, so that no half-made one ever stands under its own. */
function create(path: string): void {
  const draft = `${path}.new`;
  for (const file of [draft, `${draft}-journal`]) if (exists(file)) Deno.removeSync(file);
  const db = new DatabaseSync(draft);
  db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA application_id = ${APPLICATION_ID}`);
  upgrade(db, 0);
  db.exec("PRAGMA journal_mode = WAL");
  db.close();
  Deno.renameSync(draft, path);
}

function prepareDatabase(db: DatabaseSync): void {
  const settings = [
    "journal_mode = WAL",
    // Each commit ends with an fsync of the write-ahead log. https://sqlite.org/wal.html
    "synchronous = FULL",
    // The table moves the write-ahead log itself, because SQLite would not say when that fails.
    "wal_autocheckpoint = 0",
    `cache_size = -${PAGE_CACHE_KIB}`,
    "temp_store = MEMORY",
  ];
  for (const setting of settings) db.prepare(`PRAGMA ${setting}`).get();
}

/**
 * Makes the write-ahead log as large as it will be, with zeros: to sync what a file already has takes half
 * the time of making it grow. SQLite takes them for the end of the log, because no page there has the
 * right checksum (https://sqlite.org/fileformat.html section 4.1). Where the disk has no such room, the
 * log grows as it is written.
 */
function fill(path: string, bytes: number): void {
  using file = Deno.openSync(path, { write: true });
  const { size } = file.statSync();
  try {
    writeZeros(file, { from: size, to: bytes });
  } catch {
    file.truncateSync(size);
  }
  file.syncDataSync();
}

function upgrade(db: DatabaseSync, version: number): void {
  if (version === UPGRADES.length) return;
  db.exec("BEGIN IMMEDIATE");
  UPGRADES.slice(version).forEach((step) => step(db));
  db.exec(`PRAGMA user_version = ${UPGRADES.length}; COMMIT`);
}

/** Reads the header (https://sqlite.org/fileformat.html section 1.3); returns the schema version. */
function checkHeader(path: string): number {
  const header = new Uint8Array(100);
  // For writing too: SQLite would open a file that it can't write to, and fail later.
  const file = Deno.openSync(path, { read: true, write: true });
  const length = file.readSync(header) ?? 0;
  const { size } = file.statSync();
  file.close();
  const view = new DataView(header.buffer);
  const isOurs = length === header.length &&
    new TextDecoder().decode(header.subarray(0, 15)) === "SQLite format 3" &&
    view.getUint32(68) === APPLICATION_ID;
  if (!isOurs) {
    throw new OpenError(
      `Cannot open ${path}: it is no Keyline table. It was left as it is: move it away, or choose ` +
        "another folder with --data.",
    );
  }
  const version = view.getUint32(60);
  if (version > UPGRADES.length) {
    throw new OpenError(
      `Cannot open ${path}: it was written by a newer Keyline (schema ${version}; this one knows ` +
        `${UPGRADES.length}). It was left as it is: start that newer one.`,
    );
  }
  // With a write-ahead log beside it, the file may still be on its way to what the header says.
  const isWhole = size >= view.getUint32(28) * PAGE_BYTES || exists(`${path}-wal`);
  if (!isWhole) throw new Error("it is damaged: its end is missing");
  return version;
}

/** Looks for damage, reading only: a small file whole, of a large one the log, as every start does. */
function checkContents(path: string): void {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    if (Deno.statSync(path).size <= CHECK_BYTES_MAX) {
      const { quick_check: found } = db.prepare("PRAGMA quick_check(1)").get()!;
      // The line before the last only says in which database.
      if (found !== "ok") throw new Error(`it is damaged: ${(found as string).split("\n").at(-1)}`);
    }
    const { valid } = db.prepare("SELECT min(json_valid(changes)) AS valid FROM log").get()!;
    if (valid !== 1) throw new Error("it is damaged: its log can't be read");
  } finally {
    db.close();
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
