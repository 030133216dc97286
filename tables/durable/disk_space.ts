/**
 * What becomes of a table when the disk is full: it refuses what would grow, goes on with the rest in room
 * that is held back for that, and recovers by itself.
 *
 * @module
 */

import { DiskFullError } from "./errors.ts";
import type { Rows } from "./rows.ts";

/** How much is held back: the room to move the write-ahead log into the file, and to log deletions. */
const RESERVE_BYTES = 4_194_304;
/** How much stays held back on a full disk, so that the next start has room to open the table. */
const LAST_BYTES = 262_144;
/** How much room there must be beside the reserve before the disk counts as full no more. */
const ROOM_BYTES_MIN = 1_048_576;
/** How many pages the write-ahead log takes before it is moved into the file; fewer on a full disk. */
const WAL_PAGES_MAX = 4_000;
const WAL_PAGES_MAX_FULL = 256;
/** How much the file must have free before it has room for more rows on a full disk. */
const FREE_BYTES_MIN = 262_144;
const RESERVE_NAME = "keyline.reserve";
const ZEROS = new Uint8Array(65_536);

/** The room of a table on its disk. */
export class DiskSpace {
  readonly #rows: Rows;
  // Held open, because the server gives up its permission to open files once it listens.
  readonly #reserve: Deno.FsFile;
  #reserveBytes: number;
  /** Whether what grows is refused. */
  #isFull = false;

  /** Holds room back in a folder. */
  constructor(folder: string, rows: Rows) {
    this.#rows = rows;
    this.#reserve = Deno.openSync(`${folder}/${RESERVE_NAME}`, {
      create: true,
      read: true,
      write: true,
    });
    this.#reserveBytes = this.#reserve.statSync().size;
    if (!this.#takeReserve()) this.noteFull();
  }

  /** Whether the disk is full: what would grow is refused. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Throws DiskFullError where the disk is full. */
  checkRoom(): void {
    if (this.#isFull) throw new DiskFullError();
  }

  /** Gives up what is held back, because the disk is full. */
  noteFull(): void {
    if (this.#reserveBytes > LAST_BYTES) this.#cutTo(LAST_BYTES);
    if (this.#isFull) return;
    this.#isFull = true;
    console.error("Keyline: the disk is full: PUT is refused until there is room");
  }

  /** Moves the write-ahead log into the file before it, or the growth of the file, becomes too large. */
  checkpointIfDue(): void {
    const pagesMax = this.isTight ? WAL_PAGES_MAX_FULL : WAL_PAGES_MAX;
    const isDue = this.#rows.walPages > pagesMax || this.#rows.growthBytes > RESERVE_BYTES / 2;
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
    const hasRoom = this.#takeReserve() || this.#rows.freeBytes >= FREE_BYTES_MIN;
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
      this.#rows.checkpoint(mode);
    } catch (error) {
      if (!(error instanceof DiskFullError)) throw error;
      this.noteFull();
    }
  }

  /** Holds the whole reserve, where the disk has more room than that. */
  #takeReserve(): boolean {
    const before = this.#reserveBytes;
    const wanted = before >= RESERVE_BYTES ? RESERVE_BYTES : RESERVE_BYTES + ROOM_BYTES_MIN;
    try {
      // Written, not only sized: a file system gives a hole no room.
      this.#reserve.seekSync(before, Deno.SeekMode.Start);
      for (let at = before; at < wanted;) {
        at += this.#reserve.writeSync(ZEROS.subarray(0, wanted - at));
      }
      this.#reserve.syncDataSync();
    } catch {
      this.#cutTo(before);
      return false;
    }
    this.#cutTo(RESERVE_BYTES);
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
