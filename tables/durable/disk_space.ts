/**
 * The disk space of a table. When the disk is full, the table refuses what would grow, does the rest with a
 * reserve that it holds for this, and recovers by itself.
 *
 * @module
 */

import type { Report } from "../report.ts";
import { openDataFile } from "./data_folder.ts";
import { DiskFullError } from "./errors.ts";
import type { RowsStorage } from "./rows_storage.ts";

/**
 * The size of the reserve: enough for a checkpoint of SQLite's write-ahead log, and for logging deletions.
 */
const RESERVE_BYTES = 4_194_304;
/** What is kept of the reserve on a full disk, so that the next start has space to open the table. */
const LAST_BYTES = 262_144;
/** How much space there must be besides the reserve before PUT works again. */
const ROOM_BYTES_MIN = 1_048_576;
/**
 * A checkpoint is due at this many pages, on a full disk at fewer: it must not stall the clients for long.
 */
const WAL_PAGES_MAX = 1_000;
const WAL_PAGES_MAX_FULL = 256;
/** How much free space in the file lets PUT work again on a full disk. */
const FREE_BYTES_MIN = 262_144;
const RESERVE_NAME = "keyline.reserve";
const ZEROS = new Uint8Array(65_536);

/** The disk space of a table. */
export class DiskSpace {
  readonly #storage: RowsStorage;
  readonly #report: Report;
  // Kept open, because the server gives up its permission to open files once it listens.
  readonly #reserve: Deno.FsFile;
  #reserveBytes: number;
  /** Whether changes that grow the table are refused. */
  #isFull = false;

  /** Takes the reserve in a folder. */
  constructor(folder: string, { storage, report }: { storage: RowsStorage; report: Report }) {
    this.#storage = storage;
    this.#report = report;
    this.#reserve = openDataFile(`${folder}/${RESERVE_NAME}`);
    this.#reserveBytes = this.#reserve.statSync().size;
    if (!this.#hold(RESERVE_BYTES)) this.noteFull();
    else this.#cutTo(RESERVE_BYTES);
  }

  /** Whether the disk is full, so that changes which grow the table are refused. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Throws DiskFullError if the disk is full. */
  checkRoom(): void {
    if (this.#isFull) throw new DiskFullError();
  }

  /**
   * Makes sure, within a transaction, that there will be space for its checkpoint. Otherwise the write-ahead
   * log could fill the disk so that no checkpoint is possible, and nothing could ever be freed. Throws
   * DiskFullError.
   */
  claimGrowth(): void {
    const growth = this.#storage.growthBytes;
    if (growth <= (this.isTight ? 0 : this.#reserveBytes)) return;
    // Large values: the file is going to take as much again.
    if (this.isTight || !this.#hold(2 * growth)) throw new DiskFullError();
  }

  /** Runs what a start must write even on a full disk: if need be, with the last of the reserve. */
  spend(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      this.#cutTo(0);
      write();
      this.noteFull(); // Which gives the space back that the write has taken, for the next start.
      this.#hold(LAST_BYTES);
    }
  }

  /** Releases the reserve, because the disk is full. */
  noteFull(): void {
    if (this.#reserveBytes > LAST_BYTES) this.#cutTo(LAST_BYTES);
    this.#checkpoint("TRUNCATE");
    if (this.#isFull) return;
    this.#isFull = true;
    this.#report("warn", "The disk is full: PUT is refused until there is room");
  }

  /** Does a checkpoint before the write-ahead log, or the growth of the file, becomes too large. */
  checkpointIfDue(): void {
    const pagesMax = this.isTight ? WAL_PAGES_MAX_FULL : WAL_PAGES_MAX;
    const isDue = this.#storage.walPages > pagesMax ||
      this.#storage.growthBytes > RESERVE_BYTES / 2;
    if (isDue) this.#checkpoint(this.isTight ? "TRUNCATE" : "PASSIVE");
  }

  /** Whether the reserve is not whole: then as little space is used as possible. */
  get isTight(): boolean {
    return this.#reserveBytes < RESERVE_BYTES;
  }

  /** Checks whether there is space again, on the disk or within the file. */
  recover(): void {
    if (!this.isTight) return;
    this.#checkpoint("TRUNCATE");
    const hasRoom = this.#hold(RESERVE_BYTES + ROOM_BYTES_MIN) ||
      this.#storage.freeBytes >= FREE_BYTES_MIN;
    if (!this.isTight) this.#cutTo(RESERVE_BYTES);
    if (!this.#isFull || !hasRoom) return;
    this.#isFull = false;
    this.#report("info", "The disk has room again, and PUT works");
  }

  /** Closes the reserve's file, which keeps its space for the next start. */
  close(): void {
    this.#reserve.close();
  }

  #checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    try {
      this.#storage.checkpoint(mode);
      if (this.#reserveBytes > RESERVE_BYTES) this.#cutTo(RESERVE_BYTES);
    } catch (error) {
      // The write-ahead log stays until a later checkpoint has the space.
      if (!(error instanceof DiskFullError)) throw error;
    }
  }

  /** Extends the reserve to this many bytes; false if the disk lacks the space, with nothing changed. */
  #hold(bytes: number): boolean {
    const before = this.#reserveBytes;
    try {
      // Written, not only sized: a hole takes no space.
      this.#reserve.seekSync(before, Deno.SeekMode.Start);
      for (let at = before; at < bytes;) {
        at += this.#reserve.writeSync(ZEROS.subarray(0, bytes - at));
      }
      if (bytes > before) this.#reserve.syncDataSync();
    } catch {
      this.#cutTo(before);
      return false;
    }
    this.#reserveBytes = Math.max(before, bytes);
    return true;
  }

  #cutTo(bytes: number): void {
    this.#reserve.truncateSync(bytes);
    this.#reserveBytes = bytes;
  }
}

/** Releases the reserve of an earlier start, so that the table can be opened; false if there is none. */
export function releaseReserve(folder: string): boolean {
  try {
    using reserve = openDataFile(`${folder}/${RESERVE_NAME}`, { create: false });
    if (reserve.statSync().size === 0) return false;
    reserve.truncateSync();
    return true;
  } catch {
    return false;
  }
}
