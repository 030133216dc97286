/**
 * The errors of a durable table: those that stop the server's start, and those reported to clients.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** The server can't start with this folder. The message names the file and says how to fix it. */
export class OpenError extends Error {}

/** What to type to see what is whole in a folder or a backup. */
export function checkCommand(path: string): string {
  return `${Deno.build.standalone ? "keyline check" : "deno task check:table"} ${path}`;
}

/** Opens a folder that was chosen with --data. Its OpenError says how to choose another. */
export function orElsewhere<Result>(open: () => Result): Result {
  try {
    return open();
  } catch (error) {
    throw error instanceof OpenError ? elsewhere(error) : error;
  }
}

/** The OpenError of a folder that was chosen with --data, which also says how to choose another. */
export function elsewhere(cause: OpenError): OpenError {
  return new OpenError(`${cause.message} To use another folder, add --data FOLDER.`, { cause });
}

/** The disk is full. This passes once there is room again. */
export class DiskFullError extends TableError {
  /** Tells clients what still works. */
  constructor(options?: ErrorOptions) {
    super("disk full; GET, DELETE and CLEAR go on", options);
  }
}

/** Converts an error to the one reported to clients. An I/O error, such as a failed sync, is fatal. */
export function tableError(cause: unknown): TableError {
  if (cause instanceof TableError) return cause;
  if (isDiskFull(cause)) return new DiskFullError({ cause });
  // A string or an array beyond what V8 can allocate, or a bug: the disk is sound.
  const isOfSystem = /^E[A-Z0-9]+$/.test(String((cause as { code?: unknown } | undefined)?.code));
  if (!isOfSystem) return new TableError("internal error", { cause });
  return new TableError("the table's file can't be read or written", { cause, fatal: true });
}

/** Whether an error of the system means that the disk, or this user's share of it, is full. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return code === "ENOSPC" || code === "EDQUOT";
}

/** Ends the table after a broken invariant: a bug, after which nothing more may be written. */
export function assertThat(condition: boolean, invariant: string): asserts condition {
  if (condition) return;
  throw new TableError("internal error", { cause: new Error(`Broken: ${invariant}`), fatal: true });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
