/**
 * Locks a folder for one process. The system releases the lock when the process exits, for whatever reason.
 *
 * The lock is on the folder itself, because a file in it could be removed while locked, and the next process
 * would lock a new file of the same name. A file in the folder names the holder.
 *
 * @module
 */

import { openDataFile, prepareDataFolder } from "./data_folder.ts";
import { messageOf, OpenError } from "./errors.ts";

/** The name of the file that names the holder. */
export const NOTE_NAME = "keyline.lock";

/** A lock on a folder. */
export class FolderLock implements Disposable {
  /** Which process had a table open in the folder before; "" if none ever had. */
  readonly holderBefore: string;
  readonly #note: Deno.FsFile;
  /** What is locked. */
  readonly #locked: Deno.FsFile;

  /**
   * Creates the folder if it is missing, and locks it. Throws OpenError, which says who holds the lock, or
   * that the folder is not empty although it must be.
   */
  constructor(folder: string, { mustBeEmpty = false } = {}) {
    try {
      prepareDataFolder(folder);
      if (mustBeEmpty && !isEmpty(folder)) throw new OpenError(`${folder} is not empty.`);
      this.#note = openDataFile(`${folder}/${NOTE_NAME}`);
      // Windows opens no folders.
      this.#locked = Deno.build.os === "windows" ? this.#note : Deno.openSync(folder);
    } catch (error) {
      if (error instanceof OpenError) throw error;
      throw new OpenError(
        `Cannot open the table in ${folder}: ${messageOf(error)}. ` +
          "Make it a folder that this user can write to.",
        { cause: error },
      );
    }
    const holder = Deno.readTextFileSync(`${folder}/${NOTE_NAME}`).trim();
    this.holderBefore = holder;
    if (this.#locked.tryLockSync(true)) return;
    this.#close();
    throw new OpenError(
      `Cannot open the table in ${folder}: ${holder || "another process"} is using it. ` +
        "Stop that one.",
    );
  }

  /** Names this process to others that find the folder locked. */
  nameHolder(): void {
    const holder = `process ${Deno.pid}, since ${new Date().toISOString()}\n`;
    try {
      this.#note.truncateSync();
      this.#note.seekSync(0, Deno.SeekMode.Start);
      this.#note.writeSync(new TextEncoder().encode(holder));
    } catch {
      // On a full disk the folder is locked without a name.
    }
  }

  /** Releases the lock. */
  [Symbol.dispose](): void {
    // Closing is not enough: a process that is forked at this moment holds the file open, and so the lock.
    this.#locked.unlockSync();
    this.#close();
  }

  #close(): void {
    this.#note.close();
    if (this.#locked !== this.#note) this.#locked.close();
  }
}

function isEmpty(folder: string): boolean {
  for (const _ of Deno.readDirSync(folder)) return false;
  return true;
}
