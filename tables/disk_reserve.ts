/**
 * A file of zeros beside the table that is given up when the disk is full, so that there is room to
 * write down what DELETE and CLEAR remove. `sqlite_table.ts` holds one.
 *
 * @module
 */

/** How much is held back: the room to move the write-ahead log into the file, and to log deletions. */
export const RESERVE_BYTES = 4_194_304;
/** How much stays held back on a full disk, so that the next start has room to open the table. */
const LAST_BYTES = 262_144;
const ZEROS = new Uint8Array(65_536);

/** Room on the disk that is kept back for a bad day. */
export class DiskReserve {
  // Held open, because the server gives up its permission to open files once it listens. The size is
  // remembered, because to ask for it takes that permission too.
  readonly #file: Deno.FsFile;
  #bytes: number;

  /** Holds what an earlier start has left; `take` makes it more. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { create: true, read: true, write: true });
    this.#bytes = this.#file.statSync().size;
  }

  /** How much is held. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Holds at least this much; false where the disk has no such room, and nothing has changed. */
  take(bytes: number): boolean {
    const before = this.#bytes;
    try {
      writeZeros(this.#file, { from: before, to: bytes });
      this.#bytes = Math.max(before, bytes);
      if (this.#bytes > before) this.#file.syncDataSync();
      return true;
    } catch {
      this.#cutTo(before);
      return false;
    }
  }

  /** Gives up what is held above this much. */
  keep(bytes: number): void {
    if (this.#bytes > bytes) this.#cutTo(bytes);
  }

  /** Gives the room up, but for a last part. */
  release(): void {
    this.keep(LAST_BYTES);
  }

  /** Closes the file. The room stays taken for the next start. */
  close(): void {
    this.#file.close();
  }

  #cutTo(bytes: number): void {
    this.#file.truncateSync(bytes);
    this.#bytes = bytes;
  }
}

/** Makes a file larger. Written, not only sized: a file system gives a hole no room. */
export function writeZeros(file: Deno.FsFile, { from, to }: { from: number; to: number }): void {
  file.seekSync(from, Deno.SeekMode.Start);
  for (let at = from; at < to;) at += file.writeSync(ZEROS.subarray(0, to - at));
}

/** Gives up all that the reserve of a table holds that is not open yet; false where there is nothing. */
export function giveUpReserve(path: string): boolean {
  try {
    if (Deno.statSync(path).size === 0) return false;
    Deno.truncateSync(path);
    return true;
  } catch {
    return false;
  }
}
