/**
 * What a table needs from the system: files by name, and locks on them. Tests have a disk in memory, which
 * forgets unsynced writes, and fails.
 *
 * @module
 */

import * as fs from "node:fs";
import { FolderLock } from "./folder_lock.ts";
import { openFile, type OpenOptions, type PositionedFile } from "./log/file.ts";

/** Files and folders. All throw errors of the system. */
export interface Disk {
  /** Opens a file. */
  open(path: string, options?: OpenOptions): PositionedFile;
  /** Whether there is a file of this name, or a link. */
  has(path: string): boolean;
  /** Renames a file, replacing any other of that name. */
  rename(from: string, to: string): void;
  /** Removes a file. */
  remove(path: string): void;
  /** Makes the names in a folder durable: syncing a file does not sync its name. */
  syncFolder(folder: string): void;
  /** Locks a folder for this process, and makes it if it is missing. Throws OpenError. */
  lock(folder: string): HeldLock;
  /** Watches whether a log is being copied. */
  watchCopies(path: string): CopyWatch;
}

/** A lock that is held until it is disposed of. */
export interface HeldLock extends Disposable {
  /** Which process had a table open in the folder before; "" if none ever had. */
  readonly holderBefore: string;
  /** Names this process to others that find the folder locked. */
  nameHolder(): void;
}

/** Knows about copies of a log: each holds a shared lock on the file while it is made. */
export interface CopyWatch extends Disposable {
  /** Whether no copy of the log is under way. */
  isUncopied(): boolean;
}

/** The disk of the system. */
export const SYSTEM_DISK: Disk = {
  open: openFile,
  has(path) {
    try {
      Deno.lstatSync(path);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
        return false;
      }
      throw error;
    }
  },
  rename: Deno.renameSync,
  remove: Deno.removeSync,
  syncFolder,
  lock: (folder) => new FolderLock(folder),
  watchCopies(path) {
    const file = Deno.openSync(path);
    return {
      isUncopied() {
        if (!file.tryLockSync(true)) return false;
        file.unlockSync();
        return true;
      },
      [Symbol.dispose]: () => file.close(),
    };
  },
};

/** Makes the names in a folder durable. Throws errors of the system. */
export function syncFolder(folder: string): void {
  if (Deno.build.os === "windows") return; // A folder can't be opened there.
  let fd: number;
  try {
    fd = fs.openSync(folder, "r");
  } catch (error) {
    // A parent of the data folder: a user who may not read it did not put the data folder there.
    if ((error as { code?: unknown }).code === "EACCES") return;
    throw error;
  }
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
