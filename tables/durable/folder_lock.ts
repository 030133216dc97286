/**
 * Locks a folder for one process. The system releases the lock when the process exits, whatever the reason.
 *
 * @module
 */

import { openDataFile, prepareDataFolder } from "./data_folder.ts";
import { messageOf, OpenError } from "./errors.ts";

const LOCK_NAME = "keyline.lock";

/** A lock on a folder. */
export class FolderLock {
  readonly #folder: string;
  readonly #file: Deno.FsFile;

  /** Creates the folder if it is missing, and locks it. Throws OpenError, which says who holds the lock. */
  constructor(folder: string) {
    const path = `${folder}/${LOCK_NAME}`;
    this.#folder = folder;
    try {
      prepareDataFolder(folder);
      this.#file = openDataFile(path);
    } catch (error) {
      if (error instanceof OpenError) throw error;
      throw new OpenError(
        `Cannot open the table in ${folder}: ${messageOf(error)}. ` +
          "Make it a folder that this user can write to, or choose another one with --data.",
        { cause: error },
      );
    }
    if (!this.#file.tryLockSync(true)) {
      const holder = Deno.readTextFileSync(path).trim();
      this.#file.close();
      throw new OpenError(
        `Cannot open the table in ${folder}: ${holder || "another process"} is using it. ` +
          "Stop that one, or choose another folder with --data.",
      );
    }
    this.#file.truncateSync();
    const holder = `process ${Deno.pid}, since ${new Date().toISOString()}\n`;
    this.#file.writeSync(new TextEncoder().encode(holder));
  }

  /** Makes the names of new files durable: syncing a file does not sync its name. */
  syncNames(): void {
    if (Deno.build.os === "windows") return; // A folder can't be opened there.
    using folder = Deno.openSync(this.#folder);
    folder.syncSync();
  }

  /** Releases the lock. */
  close(): void {
    // Closing is not enough: a process that is forked at this moment holds the file open, and so the lock.
    this.#file.unlockSync();
    this.#file.close();
  }
}
