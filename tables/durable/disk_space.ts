/**
 * What becomes of a table when the disk is full: it refuses what would grow, goes on with the rest in room
 * that is held back for that, and recovers by itself.
 *
 * @module
 */

import { DiskFullError } from "./errors.ts";
import type { RowsStorage } from "./rows_storage.ts";

/** How much is held back: the room to move the write-ahead log into the file, and to log deletions. */
const RESERVE_BYTES = 4_194_304;
/** How much stays held back on a full disk, so that the next start has room to open the table. */
const LAST_BYTES = 262_144;
/** How much room there must be beside the reserve before the disk counts as full no more. */
const ROOM_BYTES_MIN = 1_048_576;
/** How many pages the write-ahead log takes before it is moved into the file; fewer on a full disk. */
const WAL_PAGES_MAX = 1_000;
const WAL_PAGES_MAX_FULL = 256;
/** How much the file must have free before it has room for more rows on a full disk. */
const FREE_BYTES_MIN = 262_144;
const RESERVE_NAME = "keyline.reserve";
const ZEROS = new Uint8Array(65_536);

/** The room of a table on its disk. */
export class DiskSpace {
  readonly #storage: RowsStorage;
  // Held open, because the server gives up its permission to open files once it listens.
  readonly #reserve: Deno.FsFile;
  #reserveBytes: number;
  /** Whether what grows is refused. */
  #isFull = false;

  /** Holds room back in a folder. */
  constructor(folder: string, storage: RowsStorage) {
    this.#storage = storage;
    this.#reserve = Deno.openSync(`${folder}/${RESERVE_NAME}`, {
      create: true,
      read: true,
      write: true,
    });
    this.#reserveBytes = this.#reserve.statSync().size;
    if (!this.#hold(RESERVE_BYTES)) this.noteFull();
    else this.#cutTo(RESERVE_BYTES);
  }

  /** Whether the disk is full: what would grow is refused. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Throws DiskFullError where the disk is full. */
  checkRoom(): void {
    if (this.#isFull) throw new DiskFullError();
  }

  /**
   * Makes sure, within a transaction, that there will be room to move the write-ahead log into the file.
   * Else the disk could be so full of that log that it can't be moved, and with it nothing freed. Throws
   * DiskFullError.
   */
  claimGrowth(): void {
    const growth = this.#storage.growthBytes;
    if (growth <= (this.isTight ? 0 : this.#reserveBytes)) return;
    // Large values, which want as much again in the file.
    if (this.isTight || !this.#hold(2 * growth)) throw new DiskFullError();
  }

  /** Gives up what is held back, because the disk is full. */
  noteFull(): void {
    if (this.#reserveBytes > LAST_BYTES) this.#cutTo(LAST_BYTES);
    this.#checkpoint("TRUNCATE");
    if (this.#isFull) return;
    this.#isFull = true;
    console.error("Keyline: the disk is full: PUT is refused until there is room");
  }

  /** Moves the write-ahead log into the file before it, or the growth of the file, becomes too large. */
  checkpointIfDue(): void {
    const pagesMax = this.isTight ? WAL_PAGES_MAX_FULL : WAL_PAGES_MAX;
    const isDue = this.#storage.walPages > pagesMax ||
      this.#storage.growthBytes > RESERVE_BYTES / 2;
    if (isDue) this.#checkpoint(this.isTight ? "TRUNCATE" : "PASSIVE");
  }

  /** Whether the reserve is given up: room is so short that it is used as sparingly as can be. */
  get isTight(): boolean {
    return this.#reserveBytes < RESERVE_BYTES;
  }

  /** Looks whether there is room again, on the disk or in what the file has free. */
  recover(): void {
    if (!this.isTight) return;
    this.#checkpoint("TRUNCATE");
    const hasRoom = this.#hold(RESERVE_BYTES + ROOM_BYTES_MIN) ||
      this.#storage.freeBytes >= FREE_BYTES_MIN;
    if (!this.isTight) this.#cutTo(RESERVE_BYTES);
    if (!this.#isFull || !hasRoom) return;
    this.#isFull = false;
    console.error("Keyline: there is room on the disk again, and PUT goes on");
  }

  /** Lets go of its file; the room stays taken for the next start. */
  close(): void {
    this.#reserve.close();
  }

  #checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    try {
      this.#storage.checkpoint(mode);
      if (this.#reserveBytes > RESERVE_BYTES) this.#cutTo(RESERVE_BYTES);
    } catch (error) {
      // It stays where it is, and is moved when there is room.
      if (!(error instanceof DiskFullError)) throw error;
    }
  }

  /** Holds at least this much back; false where the disk has no such room, and nothing has changed. */
  #hold(bytes: number): boolean {
    const before = this.#reserveBytes;
    try {
      // Written, not only sized: a file system gives a hole no room.
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

/** Gives up what an earlier start held back in a folder, so that the table can be opened; false for nothing. */
export function giveUpReserve(folder: string): boolean {
  const path = `${folder}/${RESERVE_NAME}`;
  try {
    if (Deno.statSync(path).size === 0) return false;
    Deno.truncateSync(path);
    return true;
  } catch {
    return false;
  }
}
