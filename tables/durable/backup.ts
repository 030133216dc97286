/**
 * Copies a table to one file, even while a server has it open: SQLite backs up the rows, and the changes that
 * they lack are added from the log.
 *
 * @module
 */

import { backup, DatabaseSync } from "node:sqlite";
import { Memory } from "../text.ts";
import { KIND } from "./change.ts";
import { messageOf, OpenError } from "./errors.ts";
import { Log, segmentPath } from "./log.ts";
import { type LogFile, LogSegment, missing, type Parity } from "./log_segment.ts";
import { Rows } from "./rows.ts";
import { FILE_NAME } from "./rows_file.ts";
import { upgrade } from "./schema.ts";

/**
 * A server may reuse a segment between the copy of the rows and that of the log, so that it must be done
 * again.
 */
const ATTEMPTS_MAX = 10;
/** How many changes are written to the copy in one transaction. */
const CHANGES_AT_ONCE = 10_000;

/** Copies the table in a folder to a new file. Throws OpenError, and then leaves no file. */
export async function backUp(folder: string, file: string): Promise<void> {
  const source = `${folder}/${FILE_NAME}`;
  let isCreated = false;
  try {
    Deno.statSync(source);
    Deno.openSync(file, { createNew: true, write: true, mode: 0o600 }).close();
    isCreated = true;
    await copy(folder, file);
  } catch (error) {
    if (isCreated) Deno.removeSync(file);
    throw new OpenError(`Cannot back up ${source} to ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function copy(folder: string, file: string): Promise<void> {
  for (let attempt = 1;; attempt++) {
    await copyRows(`${folder}/${FILE_NAME}`, file);
    try {
      return addChanges(file, folder);
    } catch (error) {
      if (!(error instanceof OpenError) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function copyRows(source: string, file: string): Promise<void> {
  const db = new DatabaseSync(source, { readOnly: true });
  try {
    // All pages in one step: a write by the server between two steps would restart the backup.
    await backup(db, file, { rate: 0x7fffffff });
  } finally {
    db.close();
  }
}

/** Adds the changes in a folder's log to the copied rows, and makes the copy a single file. */
function addChanges(file: string, folder: string): void {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA journal_mode = DELETE");
    upgrade(db, db.prepare("PRAGMA user_version").get()!.user_version as number);
    const rows = new Rows(db, 0);
    if (rows.state.salt !== 0) replay(folder, rows);
    while (rows.removeOld(Infinity));
    // The copy has no log, and must not take one that lies where it is restored for its own.
    db.exec("UPDATE state SET salt = 0, moving = 0");
    db.exec("PRAGMA journal_mode = WAL");
  } finally {
    db.close();
  }
}

function replay(folder: string, rows: Rows): void {
  const segments = [0, 1].map((parity) => readSegment(segmentPath(folder, parity as Parity)));
  const changes = new Log(segments as [LogSegment, LogSegment], rows.state).replay();
  let { version } = rows.state;
  for (;;) {
    // Not within the transaction: an error of the log is not one of the rows.
    const some = takeFrom(changes);
    if (some.length === 0) return;
    rows.transaction(() => {
      for (const change of some) {
        version = Math.max(version, change.version);
        if (change.kind === KIND.CLEAR) rows.clear();
        else if (change.kind === KIND.DELETE) rows.delete(change.key);
        else rows.put(change.key, { ...change, isNew: rows.expiryOf(change.key) === undefined });
      }
      const { number, turn } = some.at(-1)!;
      rows.setFlushed({ flushed: number, turn, version });
    });
  }
}

/** The changes for the next transaction; none after the last. */
function takeFrom<Change>(changes: Iterator<Change>): Change[] {
  const taken: Change[] = [];
  while (taken.length < CHANGES_AT_ONCE) {
    const { value, done } = changes.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

/** Reads a segment as it is at this moment; a server may be writing to it. */
function readSegment(path: string): LogSegment {
  try {
    const { bytes } = new Memory(Deno.readFileSync(path));
    return new LogSegment(path, {
      file: new ReadOnlyFile(bytes),
      size: bytes.length,
      roomBytes: 0,
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw missing(path, error);
    throw error;
  }
}

/** A file of the log that was read into memory. */
class ReadOnlyFile implements LogFile {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  readSync(bytes: Uint8Array): number | null {
    const found = this.#bytes.subarray(this.#position, this.#position + bytes.length);
    bytes.set(found);
    this.#position += found.length;
    return found.length === 0 ? null : found.length;
  }

  seekSync(offset: number): number {
    this.#position = offset;
    return offset;
  }

  writeSync(): number {
    throw new Error("Cannot write to a log that is read for a backup");
  }

  truncateSync(): void {}

  syncDataSync(): void {}

  close(): void {}
}
