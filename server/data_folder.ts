/**
 * What an operator wants to know about the data folder: the free space on its disk, and the time of the last
 * backup. The server keeps permission to read this folder alone, and to ask for the free space.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { BACKUP_NOTE } from "../tables/durable/backup_note.ts";

/** A data folder, seen from outside. */
export class DataFolder {
  readonly #path: string;

  /** `path` may be relative to the folder that the server was started in. */
  constructor(path: string) {
    this.#path = path;
  }

  /** How many bytes this user can still write; undefined if unknown. */
  get freeBytes(): number | undefined {
    return known(() => {
      const { bavail, bsize } = statfsSync(this.#path);
      return bavail * bsize;
    });
  }

  /** When the last backup was made, in seconds since 1970; undefined if there is none. */
  get lastBackup(): number | undefined {
    return known(() => {
      const { mtime } = Deno.statSync(`${this.#path}/${BACKUP_NOTE}`);
      return mtime === null ? undefined : mtime.getTime() / 1_000;
    });
  }
}

/** The result of a look; undefined if it fails, which is no failure of the server. */
function known(look: () => number | undefined): number | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
