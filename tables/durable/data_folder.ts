/**
 * The folder that holds a table, and its files. They are accessible to this user alone, and none may be a
 * link, or the file that it leads to would be read, written or truncated instead. All code that opens a file
 * there does it with these functions.
 *
 * @module
 */

import { OpenError } from "./errors.ts";

/** The permissions of a folder and of a file for its owner, and those that others must not have. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const WRITE_BY_OTHERS = 0o022;
const ANY_BY_OTHERS = 0o077;
/** How the names of all files of a table begin. Other files in the folder are left alone. */
const PREFIX = "keyline.";

/**
 * Creates a data folder if it is missing, and revokes other users' permissions on its files. Throws OpenError
 * if others may write to it, or if a file of the table is not a plain file, and Deno's own errors.
 */
export function prepareDataFolder(folder: string): void {
  Deno.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  const { mode } = Deno.statSync(folder);
  // Null on Windows, which has other rules.
  if (((mode ?? 0) & WRITE_BY_OTHERS) !== 0) {
    throw new OpenError(
      `Cannot open the table in ${folder}: other users may write to this folder, and so replace ` +
        `its files. Forbid it with \`chmod go-w ${folder}\`.`,
    );
  }
  for (const { name } of Deno.readDirSync(folder)) {
    if (name.startsWith(PREFIX)) claim(`${folder}/${name}`);
  }
}

/**
 * Opens a file in a data folder, to read and write it. If it is missing, it is created for this user alone,
 * unless `create` is false: then this throws Deno.errors.NotFound. Throws OpenError if it is not a plain file.
 */
export function openDataFile(path: string, { create = true } = {}): Deno.FsFile {
  const access = { read: true, write: true };
  const found = entryAt(path);
  // A new file is created only if there is nothing, not even a link: O_EXCL of open(2).
  if (found === undefined) {
    return Deno.openSync(path, { ...access, ...(create && { createNew: true, mode: FILE_MODE }) });
  }
  if (!found.isFile) throw notPlain(path);
  const file = Deno.openSync(path, access);
  const opened = file.statSync();
  // Deno offers no O_NOFOLLOW, so what was opened must be what was looked at.
  if (opened.ino === found.ino && opened.dev === found.dev) return file;
  file.close();
  throw notPlain(path);
}

/** Makes sure that a file of a table is a plain file, which others can't read. Throws OpenError. */
function claim(path: string): void {
  const found = entryAt(path);
  if (found === undefined) return;
  if (!found.isFile) throw notPlain(path);
  if (((found.mode ?? 0) & ANY_BY_OTHERS) !== 0) Deno.chmodSync(path, FILE_MODE);
}

/** What a name in a folder refers to, without following links. */
function entryAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function notPlain(path: string): OpenError {
  return new OpenError(
    `Cannot open ${path}: it is a link or another special file, which would lead out of the data ` +
      "folder. Nothing was written: put the file itself there, or remove the link.",
  );
}
