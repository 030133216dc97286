/**
 * A file of zeros beside the table that is given up when the disk is full, so that there is room to
 * write down what DELETE and CLEAR remove. `sqlite_table.ts` holds one.
 *
 * @module
 */

/** Enough to log some thousand deletions, and to move rows while the log is worked off. */
export const RESERVE_BYTES = 4_194_304;

/** Room on the disk that is kept back for a bad day. */
export class DiskReserve {
  // Held open, because the server gives up its permission to open files once it listens.
  readonly #file: Deno.FsFile;

  /** Takes the room, if there is any. */
  constructor(path: string) {
    this.#file = Deno.openSync(path, { create: true, read: true, write: true });
    this.take();
  }

  /** Takes the room again; false where the disk has none. */
  take(): boolean {
    try {
      if (this.#file.statSync().size === RESERVE_BYTES) return true;
      // Written, not only sized: a file system gives a hole no room.
      this.#file.seekSync(0, Deno.SeekMode.Start);
      const zeros = new Uint8Array(65_536);
      for (let at = 0; at < RESERVE_BYTES;) at += this.#file.writeSync(zeros);
      this.#file.syncDataSync();
      return true;
    } catch {
      this.release();
      return false;
    }
  }

  /** Gives the room up. */
  release(): void {
    this.#file.truncateSync(0);
  }

  /** Closes the file. The room stays taken for the next start. */
  close(): void {
    this.#file.close();
  }
}
