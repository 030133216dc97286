/**
 * The files of a table: a folder that one process at a time has open, with the log and the state in it. A
 * start that refuses a folder has changed nothing in it.
 *
 * @module
 */

import { type CopyWatch, type Disk, type HeldLock, SYSTEM_DISK } from "./disk.ts";
import {
  checkCommand,
  elsewhere,
  isDiskFull,
  messageOf,
  OpenError,
  orElsewhere,
} from "./errors.ts";
import { NOTE_NAME } from "./folder_lock.ts";
import { type Chain, DamageError, findChain } from "./log/chain.ts";
import type { PositionedFile } from "./log/file.ts";
import { SEGMENT_HEADER_BYTES, SLOT_BYTES } from "./log/format.ts";
import { Log } from "./log/log.ts";
import { TableError } from "../table.ts";
import { StateFile } from "./log/state_file.ts";

export { syncFolder } from "./disk.ts";

/** The name of the log. */
export const LOG_NAME = "keyline.log";
/** The name of the state. */
export const STATE_NAME = "keyline.state";
/** What a file is called until it is whole. */
const NEW_SUFFIX = ".new";
/** How many values may be read from the disk at a time. Twice as many are a tenth faster, but delay others twice as long. */
const READERS = 8;
/** How much is read at a time of a log that may be new, in bytes. */
const READ_BYTES = 65_536;
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
  readonly #lock: HeldLock;
  readonly #copies: CopyWatch;

  private constructor({ disk, lock, log, state }: FolderParts) {
    this.#lock = lock;
    this.log = log;
    this.state = state;
    try {
      this.chain = checkedChain(log, state);
    } catch (error) {
      throw asOpenError(log.path, error);
    }
    this.#copies = disk.watchCopies(log.path);
  }

  /** Opens the table in a folder, or makes one. Throws OpenError. */
  static open(
    folder: string,
    { slotBytes = SLOT_BYTES, disk = SYSTEM_DISK }: { slotBytes?: number; disk?: Disk } = {},
  ): TableFolder {
    const lock = orElsewhere(() => disk.lock(folder));
    try {
      refuseOld(folder, disk);
      if (isNew(folder, disk, lock)) create(folder, slotBytes, disk);
      // Each time: a start that made them may have been killed before it came here.
      disk.syncFolder(folder);
      disk.syncFolder(`${folder}/..`);
      return openIn(folder, { disk, lock }, (parts) => new TableFolder(parts));
    } catch (error) {
      lock[Symbol.dispose]();
      throw elsewhere(asOpenError(folder, error));
    }
  }

  /** Whether no copy of the log is under way. */
  isUncopied(): boolean {
    return this.#copies.isUncopied();
  }

  /** Names this process to others that find the folder locked. */
  nameHolder(): void {
    this.#lock.nameHolder();
  }

  /** Closes the files, and releases the lock. */
  [Symbol.dispose](): void {
    this.log.close();
    this.state.close();
    this.#copies[Symbol.dispose]();
    this.#lock[Symbol.dispose]();
  }
}

/** The chain of a log that is whole according to its state. Throws DamageError, and errors of the system. */
export function checkedChain(log: PositionedFile, { state }: StateFile): Chain {
  const chain = findChain(log, state);
  const last = chain.last?.header.sequence ?? 0;
  if (last < state.sequence) {
    const offset = chain.segments.at(-1)!.start + chain.segments.at(-1)!.end;
    throw new DamageError(
      offset,
      `its last turns are missing: it ends with turn ${last}, but turn ${state.sequence} was committed`,
    );
  }
  return chain;
}

/** The OpenError for an error from reading or writing this file. */
export function asOpenError(path: string, error: unknown): OpenError {
  if (error instanceof OpenError) return error;
  return error instanceof DamageError ? damaged(path, error.message) : cannotOpen(path, error);
}

/** How to open a file of a table. */
export interface FileOptions {
  /** Whether only to read it. */
  readonly isReadOnly?: boolean;
  /** How many asynchronous reads may take place at a time. */
  readonly readers?: number;
  /** The disk that the folder is on. */
  readonly disk?: Disk;
}

/** Opens the state file of a folder. Throws OpenError. */
export function openState(folder: string, options: FileOptions = {}): StateFile {
  const path = `${folder}/${STATE_NAME}`;
  const file = openOrExplain(path, options);
  const state = StateFile.read(file);
  if (state !== undefined) return state;
  file.close();
  throw damaged(path, "it is not the state of a table, or damaged");
}

/** Opens the log of a folder. Throws OpenError. */
export function openLog(folder: string, options: FileOptions = {}): PositionedFile {
  return openOrExplain(`${folder}/${LOG_NAME}`, options);
}

/** Throws an OpenError if a folder has a table of an earlier version. */
export function refuseOld(folder: string, disk = SYSTEM_DISK): void {
  const old = OLD_NAMES.find((name) => disk.has(`${folder}/${name}`));
  if (old === undefined) return;
  throw new OpenError(
    `Cannot open the table in ${folder}: ${old} is of an earlier version, which kept the table in SQLite. ` +
      "Start that version with it, export its keys, and import them here.",
  );
}

/**
 * Makes the files of a new table: each under another name until it is whole, and the state last, so that a log
 * without one has never acknowledged anything.
 */
function create(folder: string, slotBytes: number, disk: Disk): void {
  const salt = newSalt();
  makeFile(`${folder}/${LOG_NAME}`, disk, (file) => Log.create(file, { salt, slotBytes }));
  disk.syncFolder(folder);
  makeFile(`${folder}/${STATE_NAME}`, disk, (file) => {
    const state = new StateFile(file, { salt, slotBytes, sequence: 0, isClosed: false, keys: 0 });
    state.write({});
    state.write({}, { isSynced: true });
  });
}

/** Makes a file, which has its name only once it is whole. Throws errors of the system. */
function makeFile(path: string, disk: Disk, fill: (file: PositionedFile) => void): void {
  const newPath = path + NEW_SUFFIX;
  if (disk.has(newPath)) disk.remove(newPath);
  try {
    const file = disk.open(newPath, { isNew: true });
    try {
      fill(file);
    } finally {
      file.close();
    }
    disk.rename(newPath, path);
  } catch (error) {
    if (disk.has(newPath)) disk.remove(newPath);
    throw error;
  }
}

/** Whether there is no table yet, or one whose creation was cut short before it could be used. */
function isNew(folder: string, disk: Disk, { holderBefore }: HeldLock): boolean {
  if (disk.has(`${folder}/${STATE_NAME}`)) return false;
  if (!disk.has(`${folder}/${LOG_NAME}`)) {
    // A process names itself once it has a table.
    if (holderBefore === "") return true;
    throw new OpenError(
      `Cannot open the table in ${folder}: its files are missing, but ${holderBefore} had it open. Nothing ` +
        `was changed: put ${LOG_NAME} and ${STATE_NAME} back, restore a backup, or remove ${NOTE_NAME} to ` +
        "begin with an empty table.",
    );
  }
  const log = openLog(folder, { isReadOnly: true, disk });
  try {
    const { last, segments } = findChain(log);
    // A table that was never used has no turn, and not a part of one either.
    if (last === undefined && isUnused(log, segments[0]!.header.slotBytes)) return true;
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw damaged(log.path, error.message);
  } finally {
    log.close();
  }
  throw missing(`${folder}/${STATE_NAME}`);
}

/** Whether nothing was written to a log but its first header. */
function isUnused(log: PositionedFile, slotBytes: number): boolean {
  const size = log.size();
  const part = new Uint8Array(Math.min(size, READ_BYTES));
  for (let at = SEGMENT_HEADER_BYTES; at < size; at += part.length) {
    if (part.subarray(0, log.read(part, at)).some((byte) => byte !== 0)) return false;
  }
  return size >= slotBytes;
}

/** What a folder is opened with. */
interface FolderParts {
  readonly disk: Disk;
  readonly lock: HeldLock;
  readonly log: PositionedFile;
  readonly state: StateFile;
}

function openIn<Result>(
  folder: string,
  { disk, lock }: Pick<FolderParts, "disk" | "lock">,
  make: (parts: FolderParts) => Result,
): Result {
  const state = openState(folder, { disk });
  try {
    const log = openLog(folder, { disk, readers: READERS });
    try {
      return make({ disk, lock, log, state });
    } catch (error) {
      log.close();
      throw error;
    }
  } catch (error) {
    state.close();
    throw error;
  }
}

function openOrExplain(
  path: string,
  { disk = SYSTEM_DISK, ...options }: FileOptions,
): PositionedFile {
  try {
    return disk.open(path, options);
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") throw missing(path);
    throw cannotOpen(path, error);
  }
}

/** A salt for a new table: random, and never 0. */
export function newSalt(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! || 1;
}

function damaged(path: string, why: string): OpenError {
  const folder = path.slice(0, path.lastIndexOf("/"));
  return new OpenError(
    `Cannot open ${path}: ${why}. Nothing was changed: restore a backup, or see what is whole with ` +
      `\`${checkCommand(folder)}\`.`,
  );
}

function missing(path: string): OpenError {
  return new OpenError(
    `Cannot open ${path}: it is missing. Nothing was changed: put the file back, or restore a backup.`,
  );
}

function cannotOpen(path: string, cause: unknown): OpenError {
  // An error of the table has that of the system as its cause.
  const reason = cause instanceof TableError ? cause.cause : cause;
  const { code } = reason as { code?: unknown };
  const why = code === "ELOOP" ? "it is a symbolic link" : messageOf(reason);
  const advice = code === "EIO"
    ? "See whether the disk is sound, or restore a backup"
    : isDiskFull(reason)
    ? "Make room on the disk"
    : "Make it a file that this user can write to";
  return new OpenError(`Cannot open ${path}: ${why}. ${advice}.`, { cause });
}
