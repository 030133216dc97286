/**
 * Holds a folder for one process. The system lets the lock go when the process ends, however it ends.
 *
 * @module
 */

import { messageOf, OpenError } from "./errors.ts";

const LOCK_NAME = "keyline.lock";

/** A folder that is held. */
export class FolderLock {
  readonly #folder: string;
  readonly #file: Deno.FsFile;

  /** Makes the folder where there is none, and takes it. Throws OpenError, which says who holds it. */
  constructor(folder: string) {
    const path = `${folder}/${LOCK_NAME}`;
    this.#folder = folder;
    try {
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#file = Deno.openSync(path, { create: true, read: true, write: true });
    } catch (error) {
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
          "End that one, or choose another folder with --data.",
      );
    }
    this.#file.truncateSync();
    const holder = `process ${Deno.pid}, since ${new Date().toISOString()}\n`;
    this.#file.writeSync(new TextEncoder().encode(holder));
  }

  /** Makes durable which files the folder has: a new file's name is not, by the sync of the file alone. */
  syncNames(): void {
    if (Deno.build.os === "windows") return; // A folder is no file there.
    using folder = Deno.openSync(this.#folder);
    folder.syncSync();
  }

  /** Lets others have the folder. */
  close(): void {
    // A process that was forked at this moment would hold the file open, and the lock with it.
    this.#file.unlockSync();
    this.#file.close();
  }
}
