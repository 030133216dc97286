/**
 * A new file that gets its name only once it is whole and durable. It never overwrites an existing file.
 *
 * @module
 */

import * as fs from "node:fs";
import { openFile, type PositionedFile } from "./log/file.ts";
import type { Steps } from "./inspection.ts";
import { syncFolder } from "./table_folder.ts";

/** What a file is called until it is whole. */
const NEW_SUFFIX = ".new";

/**
 * Makes a file. Throws what `fill` throws, and if the file exists; on failure, or if interrupted, it leaves
 * no new file.
 */
export function* makeFile<Result>(
  path: string,
  fill: (file: PositionedFile) => Steps<Result>,
): Steps<Result> {
  if (exists(path)) throw new Error(`${path} exists already`);
  const newPath = path + NEW_SUFFIX;
  const file = openNew(newPath);
  try {
    const result = yield* fill(file);
    file.sync();
    giveName(newPath, path);
    return result;
  } finally {
    file.close();
    removeFile(newPath);
    syncFolder(folderOf(path));
  }
}

/** Removes a file if it is there. */
export function removeFile(path: string): void {
  if (exists(path)) Deno.removeSync(path);
}

function openNew(path: string): PositionedFile {
  try {
    return openFile(path, { isNew: true });
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    throw new Error(
      `${path} exists already: another copy is being made, or one was killed. Remove it in that case`,
    );
  }
}

/** Gives a file a second name. A rename would overwrite a file that has got that name meanwhile. */
function giveName(from: string, to: string): void {
  try {
    fs.linkSync(from, to);
  } catch (error) {
    const { code } = error as { code?: string };
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code ?? "")) throw error;
    // A file system without links, such as that of many USB sticks.
    openFile(to, { isNew: true }).close();
    Deno.renameSync(from, to);
  }
}

function exists(path: string): boolean {
  return fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash + 1);
}
