/**
 * What can go wrong with a durable table: what stops its start, and what clients are told.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** The server can't start with this folder; the message names the file and says how to fix it. */
export class OpenError extends Error {}

/** No room is left on the disk. It passes once there is room again. */
export class DiskFullError extends TableError {
  /** Says to clients what goes on. */
  constructor(options?: ErrorOptions) {
    super("disk full; GET, DELETE and CLEAR go on", options);
  }
}

/** https://sqlite.org/rescode.html, their primary codes. */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
/** The shared memory beside the write-ahead log is a file that needs room, too. */
const SQLITE_IOERR_SHMSIZE = 4_874;

/** What went wrong with a file, in words for clients. A failed sync is an I/O error, and the end. */
export function tableError(cause: unknown): TableError {
  if (cause instanceof TableError) return cause;
  if (isDiskFull(cause)) return new DiskFullError({ cause });
  // A text or an array that is larger than V8 can make, or a mistake of ours: the disk is well.
  const isOurs = cause instanceof RangeError || cause instanceof TypeError;
  if (isOurs) return new TableError("internal error", { cause });
  const code = errorCode(cause) & 0xff;
  if (code === SQLITE_BUSY) {
    return new TableError("another program holds the table's file", { cause });
  }
  if (code === SQLITE_CORRUPT) return new TableError("the table's file is damaged", { cause });
  return new TableError("the table's file can't be read or written", { cause, fatal: true });
}

/** Whether an error of SQLite or of the system, or the cause of an OpenError, says that the disk is full. */
export function isDiskFull(error: unknown): boolean {
  const source = error instanceof OpenError ? error.cause : error;
  const code = errorCode(source);
  if (code === SQLITE_FULL || code === SQLITE_IOERR_SHMSIZE) return true;
  return source instanceof Error && /os error (28|122)\b/.test(source.message); // ENOSPC, EDQUOT
}

/** The message of an error that may be anything. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function errorCode(error: unknown): number {
  return (error as { errcode?: number } | undefined)?.errcode ?? 0;
}
