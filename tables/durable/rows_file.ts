/**
 * The file of the rows, `keyline.db`: creates, checks, opens and upgrades it.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { releaseReserve } from "./disk_space.ts";
import { isDiskFull, messageOf, OpenError } from "./errors.ts";
import { segmentPath } from "./log.ts";
import { SCHEMA_VERSION, upgrade } from "./schema.ts";
import { Rows } from "./rows.ts";
import { PAGE_BYTES } from "./rows_storage.ts";

/** The name of the file in its folder. */
export const FILE_NAME = "keyline.db";
/** "KEYL": marks our files (the application_id of https://sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x4b45594c;
/**
 * Files up to this many bytes are checked as a whole when they are opened, larger ones only where they are
 * read.
 */
const CHECK_BYTES_MAX = 33_554_432;
/**
 * The size of SQLite's cache of pages, in KiB. The flat store caches entries; this one serves misses and
 * scans.
 */
const PAGE_CACHE_KIB = 8_192;

/**
 * Opens the rows of a folder, or creates them. That takes some space, which a full disk has only in the
 * reserve. Throws OpenError.
 */
export function openRows(folder: string): Rows {
  try {
    return openFile(folder);
  } catch (error) {
    if (!isDiskFull(error) || !releaseReserve(folder)) throw error;
    return openFile(folder);
  }
}

function openFile(folder: string): Rows {
  const path = `${folder}/${FILE_NAME}`;
  try {
    if (!exists(path)) {
      checkNoLog(folder, path);
      create(path);
    }
    const version = checkHeader(path);
    checkContents(path);
    return new Rows(openDatabase(path, version), Deno.statSync(path).size);
  } catch (error) {
    if (error instanceof OpenError) throw error;
    throw new OpenError(
      `Cannot open ${path}: ${messageOf(error)}. It was left as it is: restore a backup, or ` +
        "choose another folder with --data.",
      { cause: error },
    );
  }
}

function openDatabase(path: string, version: number): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    const settings = [
      "journal_mode = WAL",
      // The table does its own checkpoints, because SQLite would not report that one has failed.
      "wal_autocheckpoint = 0",
      `cache_size = -${PAGE_CACHE_KIB}`,
      "temp_store = MEMORY",
    ];
    for (const setting of settings) db.prepare(`PRAGMA ${setting}`).get();
    upgrade(db, version);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Checks that no log is left of a table whose rows are missing: new rows would discard it. Throws OpenError.
 */
function checkNoLog(folder: string, path: string): void {
  for (const log of [segmentPath(folder, 0), segmentPath(folder, 1)]) {
    if (!exists(log)) continue;
    const start = new Uint8Array(1);
    using file = Deno.openSync(log);
    file.readSync(start);
    if (start[0] === 0) continue; // No record.
    throw new OpenError(
      `Cannot open ${path}: it is missing, but ${log} holds changes of its table. Nothing was written: ` +
        "put the file back, restore a backup, or choose another folder with --data.",
    );
  }
}

/** Creates the file under a temporary name and renames it: a crash never leaves half a database. */
function create(path: string): void {
  const draft = `${path}.new`;
  for (const file of [draft, `${draft}-journal`]) if (exists(file)) Deno.removeSync(file);
  const db = new DatabaseSync(draft);
  try {
    db.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA application_id = ${APPLICATION_ID}`);
    upgrade(db, 0);
    db.exec("PRAGMA journal_mode = WAL");
  } finally {
    db.close();
  }
  if (Deno.build.os !== "windows") Deno.chmodSync(draft, 0o600); // SQLite lets others read it.
  Deno.renameSync(draft, path);
}

/** Checks the header (https://sqlite.org/fileformat.html section 1.3), and returns the schema version. */
function checkHeader(path: string): number {
  const header = new Uint8Array(100);
  // For writing too: SQLite opens a file that it can't write to, and fails later.
  using file = Deno.openSync(path, { read: true, write: true });
  const length = file.readSync(header) ?? 0;
  const { size } = file.statSync();
  const view = new DataView(header.buffer);
  const isOurs = length === header.length &&
    new TextDecoder().decode(header.subarray(0, 15)) === "SQLite format 3" &&
    view.getUint32(68) === APPLICATION_ID;
  if (!isOurs) {
    throw new OpenError(
      `Cannot open ${path}: it is not a Keyline table. It was left as it is: move it away, or choose ` +
        "another folder with --data.",
    );
  }
  const version = view.getUint32(60);
  if (version > SCHEMA_VERSION) {
    throw new OpenError(
      `Cannot open ${path}: it was written by a newer Keyline (schema ${version}; this one knows ` +
        `${SCHEMA_VERSION}). It was left as it is: start that newer one.`,
    );
  }
  // With a write-ahead log beside it, a checkpoint may not have extended the file yet.
  const isWhole = size >= view.getUint32(28) * PAGE_BYTES || exists(`${path}-wal`);
  if (!isWhole) throw new Error("it is damaged: its end is missing");
  return version;
}

/** Checks the contents for damage, without writing. */
function checkContents(path: string): void {
  if (Deno.statSync(path).size > CHECK_BYTES_MAX) return;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const { quick_check: found } = db.prepare("PRAGMA quick_check(1)").get()!;
    // The lines before the last only name the database.
    if (found !== "ok") throw new Error(`it is damaged: ${(found as string).split("\n").at(-1)}`);
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
