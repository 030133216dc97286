/**
 * The room that the rows take on the disk: in their file, and in SQLite's write-ahead log until a checkpoint
 * moves it into the file.
 *
 * @module
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { tableError } from "./errors.ts";

/** The size of a page of the file, and of the write-ahead log. */
export const PAGE_BYTES = 4_096;

/** How many pages the write-ahead log has, and how many of them are in the file. */
interface Checkpoint {
  readonly log: number;
  readonly checkpointed: number;
}

/** The file of the rows and its write-ahead log. */
export class RowsStorage {
  readonly #db: DatabaseSync;
  readonly #pageCount: StatementSync;
  readonly #freePages: StatementSync;
  readonly #walPages: StatementSync;
  /** The size of the file, which grows at checkpoints. */
  #fileBytes: number;

  /** Takes an open database, whose file has this size. */
  constructor(db: DatabaseSync, fileBytes: number) {
    this.#db = db;
    this.#pageCount = db.prepare("PRAGMA page_count");
    this.#freePages = db.prepare("PRAGMA freelist_count");
    // NOOP moves nothing. https://sqlite.org/pragma.html#pragma_wal_checkpoint
    this.#walPages = db.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#fileBytes = fileBytes;
  }

  /** The size of the rows, in bytes. Throws TableError. */
  get bytes(): number {
    return numberOf(this.#pageCount, "page_count") * PAGE_BYTES;
  }

  /** How much of that is free. Throws TableError. */
  get freeBytes(): number {
    return numberOf(this.#freePages, "freelist_count") * PAGE_BYTES;
  }

  /** How many bytes the file has yet to grow for what is in the write-ahead log. Throws TableError. */
  get growthBytes(): number {
    return this.bytes - this.#fileBytes;
  }

  /** How many pages of the write-ahead log are not in the file. Throws TableError. */
  get walPages(): number {
    const { log, checkpointed } = rowOf(this.#walPages) as unknown as Checkpoint;
    return log - checkpointed;
  }

  /**
   * Moves the write-ahead log into the file, as far as no backup is reading it. TRUNCATE also gives its room
   * back. Throws TableError.
   */
  checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    const done = rowOf(this.#db.prepare(`PRAGMA wal_checkpoint(${mode})`));
    const { log, checkpointed } = done as unknown as Checkpoint;
    if (log === checkpointed) this.#fileBytes = this.bytes;
  }
}

function numberOf(statement: StatementSync, name: string): number {
  return rowOf(statement)[name] as number;
}

function rowOf(statement: StatementSync): Record<string, unknown> {
  try {
    return statement.get()!;
  } catch (error) {
    throw tableError(error);
  }
}
