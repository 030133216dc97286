/**
 * The files of a table: a folder that one process at a time has open, with the log and the state in it. A start
 * that refuses a folder has changed nothing in it.
 *
 * @module
 */

import * as fs from "node:fs";
import { messageOf, OpenError } from "./errors.ts";
import { FolderLock } from "./folder_lock.ts";
import { type Chain, DamageError, findChain } from "./log/chain.ts";
import { openFile, type PositionedFile } from "./log/file.ts";
import { SLOT_BYTES } from "./log/format.ts";
import { Log } from "./log/log.ts";
import { StateFile } from "./log/state_file.ts";

/** The name of the log. */
export const LOG_NAME = "keyline.log";
/** The name of the state. */
export const STATE_NAME = "keyline.state";
/** What a file is called until it is whole. */
const NEW_SUFFIX = ".new";
/** Files of earlier versions, which kept the table in SQLite. */
const OLD_NAMES = ["keyline.db", "keyline.log.0"];

/** The files of a table, open and locked. */
export class TableFolder implements Disposable {
  /** The log. */
  readonly log: PositionedFile;
  /** The state. */
  readonly state: StateFile;
  /** The segments of the log, and its last turn. */
  readonly chain: Chain;
  readonly #lock: FolderLock;
  /** A copy of the log holds a shared lock on its file while it is made. */
  readonly #copies: Deno.FsFile;

  private constructor(
    { lock, log, state, chain }: {
      lock: FolderLock;
      log: PositionedFile;
      state: StateFile;
      chain: Chain;
    },
  ) {
    this.#lock = lock;
    this.log = log;
    this.state = state;
    this.chain = chain;
    this.#copies = Deno.openSync(log.path);
  }

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  static open(
    folder: string,
    { slotBytes = SLOT_BYTES }: { slotBytes?: number } = {},
  ): TableFolder {
    const lock = new FolderLock(folder);
    try {
      refuseOld(folder);
      if (isNew(folder)) create(folder, slotBytes);
      return openIn(folder, lock, (parts) => new TableFolder(parts));
    } catch (error) {
      lock[Symbol.dispose]();
      throw error instanceof OpenError ? error : cannotOpen(folder, messageOf(error), error);
    }
  }

  /** Whether nobody is copying the log now. */
  isUncopied(): boolean {
    if (!this.#copies.tryLockSync(true)) return false;
    this.#copies.unlockSync();
    return true;
  }

  /** Names this process to whoever finds the folder locked. */
  nameHolder(): void {
    this.#lock.nameHolder();
  }

  /** Closes the files, and releases the lock. */
  [Symbol.dispose](): void {
    this.log.close();
    this.state.close();
    this.#copies.close();
    this.#lock[Symbol.dispose]();
  }
}

/** The chain of a log that is whole as far as its state knows. Throws OpenError. */
export function checkedChain(log: PositionedFile, { state }: StateFile): Chain {
  const chain = asOpenError(log.path, () => findChain(log, state));
  const last = chain.last?.header.sequence ?? 0;
  if (last < state.sequence) {
    const offset = chain.segments.at(-1)!.start + chain.segments.at(-1)!.end;
    throw damaged(
      log.path,
      `its last turns are missing: it ends at byte ${offset} with turn ${last}, but turn ` +
        `${state.sequence} was committed`,
    );
  }
  return chain;
}

/** Runs what reads a log; damage becomes an OpenError that names the file. */
export function asOpenError<Result>(path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamageError) throw damaged(path, error.message);
    throw error;
  }
}

/** Opens the state file of a folder for reading. Throws OpenError. */
export function openState(folder: string, { isReadOnly = false } = {}): StateFile {
  const path = `${folder}/${STATE_NAME}`;
  const file = openOrExplain(path, { isReadOnly });
  const state = StateFile.read(file);
  if (state !== undefined) return state;
  file.close();
  throw damaged(path, "it is not the state of a table, or damaged");
}

/** Opens the log of a folder. Throws OpenError. */
export function openLog(folder: string, { isReadOnly = false } = {}): PositionedFile {
  return openOrExplain(`${folder}/${LOG_NAME}`, { isReadOnly });
}

/** Makes the names of new files durable: syncing a file does not sync its name. */
export function syncFolder(folder: string): void {
  if (Deno.build.os === "windows") return; // A folder can't be opened there.
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Throws an OpenError where a folder has a table of an earlier version. */
export function refuseOld(folder: string): void {
  const old = OLD_NAMES.find((name) => exists(`${folder}/${name}`));
  if (old === undefined) return;
  throw new OpenError(
    `Cannot open the table in ${folder}: ${old} is of an earlier version, which kept the table in SQLite. ` +
      "Start that version with it, export its keys, and import them here; or choose another folder with --data.",
  );
}

/**
 * Makes the files of a new table: each under another name until it is whole, and the state last, so that a log
 * without one has never acknowledged anything.
 */
function create(folder: string, slotBytes: number): void {
  const salt = newSalt();
  const [logPath, statePath] = [`${folder}/${LOG_NAME}`, `${folder}/${STATE_NAME}`];
  makeFile(logPath, (file) => Log.create(file, { salt, slotBytes }));
  syncFolder(folder);
  makeFile(statePath, (file) => {
    const state = new StateFile(file, { salt, slotBytes, sequence: 0, isClosed: false });
    state.write({});
    state.write({}, { isSynced: true });
  });
  syncFolder(folder);
  syncFolder(`${folder}/..`);
}

function makeFile(path: string, fill: (file: PositionedFile) => void): void {
  removeIfThere(path + NEW_SUFFIX);
  try {
    const file = openFile(path + NEW_SUFFIX, { isNew: true });
    try {
      fill(file);
    } finally {
      file.close();
    }
    Deno.renameSync(path + NEW_SUFFIX, path);
  } catch (error) {
    removeIfThere(path + NEW_SUFFIX);
    throw error;
  }
}

/** Whether there is no table yet, or one whose making was cut short before it could be used. */
function isNew(folder: string): boolean {
  if (exists(`${folder}/${STATE_NAME}`)) return false;
  if (!exists(`${folder}/${LOG_NAME}`)) return true;
  const log = openLog(folder, { isReadOnly: true });
  try {
    if (findChain(log).last === undefined) return true;
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw damaged(log.path, error.message);
  } finally {
    log.close();
  }
  throw missing(`${folder}/${STATE_NAME}`);
}

function openIn<Result>(
  folder: string,
  lock: FolderLock,
  make: (
    parts: { lock: FolderLock; log: PositionedFile; state: StateFile; chain: Chain },
  ) => Result,
): Result {
  const state = openState(folder);
  try {
    const log = openLog(folder);
    try {
      return make({ lock, log, state, chain: checkedChain(log, state) });
    } catch (error) {
      log.close();
      throw error;
    }
  } catch (error) {
    state.close();
    throw error;
  }
}

function openOrExplain(path: string, options: { isReadOnly: boolean }): PositionedFile {
  try {
    return openFile(path, options);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") throw missing(path);
    if (code === "ELOOP") throw cannotOpen(path, "it is a symbolic link");
    throw cannotOpen(path, messageOf(error), error);
  }
}

/** A salt for a new table: random, and never 0. */
export function newSalt(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! || 1;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

function removeIfThere(path: string): void {
  if (exists(path)) Deno.removeSync(path);
}

function damaged(path: string, why: string): OpenError {
  return new OpenError(
    `Cannot open ${path}: ${why}. Nothing was changed: restore a backup, see what is whole with ` +
      "`check`, or choose another folder with --data.",
  );
}

function missing(path: string): OpenError {
  return new OpenError(
    `Cannot open ${path}: it is missing. Nothing was changed: put the file back, restore a backup, or ` +
      "choose another folder with --data.",
  );
}

function cannotOpen(path: string, why: string, cause?: unknown): OpenError {
  return new OpenError(
    `Cannot open ${path}: ${why}. Make it a file that this user can write to, or choose another folder ` +
      "with --data.",
    { cause },
  );
}
