/**
 * The errors of a durable table: those that stop the server's start, and those that clients are told of.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** The server can't start with this folder. The message names the file and says how to fix it. */
export class OpenError extends Error {}

/** The disk is full. This passes once there is room again. */
export class DiskFullError extends TableError {
  /** Tells clients what still works. */
  constructor(options?: ErrorOptions) {
    super("disk full; GET, DELETE and CLEAR go on", options);
  }
}

// Result codes of SQLite, by https://sqlite.org/rescode.html.
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
/** The file of the shared memory beside the write-ahead log needs room too. */
const SQLITE_IOERR_SHMSIZE = 4_874;

/** Converts an error to what clients are told. An I/O error, such as a failed sync, is fatal. */
export function tableError(cause: unknown): TableError {
  if (cause instanceof TableError) return cause;
  if (isDiskFull(cause)) return new DiskFullError({ cause });
  // A string or an array beyond what V8 can allocate, or a bug: the disk is sound.
  const isOurs = cause instanceof RangeError || cause instanceof TypeError;
  if (isOurs) return new TableError("internal error", { cause });
  const code = errorCode(cause) & 0xff;
  if (code === SQLITE_BUSY) {
    return new TableError("another program holds the table's file", { cause });
  }
  if (code === SQLITE_CORRUPT) return new TableError("the table's file is damaged", { cause });
  return new TableError("the table's file can't be read or written", { cause, fatal: true });
}

/** Whether an error of SQLite or of the system, or the cause of an OpenError, means that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const source = error instanceof OpenError ? error.cause : error;
  const code = errorCode(source);
  if (code === SQLITE_FULL || code === SQLITE_IOERR_SHMSIZE) return true;
  const name = (source as { code?: string } | undefined)?.code;
  if (name === "ENOSPC" || name === "EDQUOT") return true;
  return source instanceof Error && /os error (28|122)\b/.test(source.message); // ENOSPC, EDQUOT
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function errorCode(error: unknown): number {
  return (error as { errcode?: number } | undefined)?.errcode ?? 0;
}
