/**
 * Copies of a table. A backup is one file: a log with the records that were live at one moment, followed by
 * the state. Restoring turns it into a data folder; salvaging does the same with whatever is intact in a
 * damaged table. Each copy is read back and verified before it gets its name.
 *
 * A server may have the table open meanwhile.
 *
 * @module
 */

import { NO_REF } from "../memtable/arena.ts";
import { checkCommand, messageOf, OpenError, orElsewhere } from "./errors.ts";
import { FolderLock, NOTE_NAME } from "./folder_lock.ts";
import { type Damage, Inspection, type Progress, type Steps } from "./inspection.ts";
import { findChain } from "./log/chain.ts";
import { openFile, type PositionedFile } from "./log/file.ts";
import { SLOT_BYTES } from "./log/format.ts";
import { Log } from "./log/log.ts";
import { StateFile, type TableState } from "./log/state_file.ts";
import { makeFile, removeFile } from "./new_file.ts";
import { openReadOnly, partOf, type ReadOnlyTable } from "./read_only_table.ts";
import { LOG_NAME, newSalt, STATE_NAME } from "./table_folder.ts";

/** The size of a turn of a copy, in bytes. */
const TURN_BYTES = 1_048_576;
/** How many versions lost changes may have been given: none of them may be given again. */
const LOST_VERSIONS_MAX = 2 ** 32;

/** What was copied. */
export interface Copied {
  /** What was found in the source. */
  readonly found: Inspection;
  /** How many keys. */
  readonly keys: number;
  /** The size of the log, in bytes. */
  readonly bytes: number;
}

/** Copies the table in a folder to a new file. Throws OpenError, and then leaves no file. */
export function* backUp(folder: string, path: string): Steps<Copied> {
  try {
    using source = orElsewhere(() => openReadOnly(folder));
    return yield* makeFile(path, function* (target) {
      const found = yield* part(inspectWhole(source, folder), { from: 0, to: 1 / 3 });
      const seal = (state: TableState, bytes: number) =>
        writeState(partOf(target, { from: bytes }), state);
      return yield* part(copyTo(target, { found, seal }), { from: 1 / 3, to: 1 });
    });
  } catch (error) {
    throw explained(`back up ${folder} to ${path}`, error);
  }
}

/** Turns a backup into a table, in a folder that is empty or missing. Throws OpenError. */
export function* restore(path: string, folder: string): Steps<Copied> {
  try {
    using source = openReadOnly(path);
    using _lock = orElsewhere(() => new FolderLock(folder, { mustBeEmpty: true }));
    return yield* copyToFolder(folder, inspectWhole(source, path));
  } catch (error) {
    throw explained(`restore ${path} to ${folder}`, error);
  }
}

/**
 * Makes a table of whatever is intact in a folder or a backup, in a folder that is empty or missing. Throws
 * OpenError.
 */
export function* salvage(path: string, folder: string): Steps<Copied> {
  try {
    using source = openReadOnly(path);
    using _lock = new FolderLock(folder, { mustBeEmpty: true });
    return yield* copyToFolder(folder, Inspection.of(source));
  } catch (error) {
    throw explained(`salvage ${path} to ${folder}`, error);
  }
}

/** Does all steps of a piece of work at once. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Inspects a table, and refuses one that is damaged. */
function* inspectWhole(source: ReadOnlyTable, path: string): Steps<Inspection> {
  const found = yield* Inspection.of(source);
  if (found.damage.length === 0) return found;
  throw new Error(
    `${source.log.path} is damaged: ${describeDamage(found.damage[0]!)}; ` +
      `see what is whole with \`${checkCommand(path)}\`.`,
  );
}

/** Copies what is found to a folder that is empty and locked. */
function* copyToFolder(folder: string, inspecting: Steps<Inspection>): Steps<Copied> {
  const [logPath, statePath] = [`${folder}/${LOG_NAME}`, `${folder}/${STATE_NAME}`];
  let isDone = false;
  try {
    const found = yield* part(inspecting, { from: 0, to: 1 / 3 });
    // First the state: a start that finds only the state reports a missing log, and doesn't take the
    // folder for a new one.
    yield* makeFile(statePath, function* (file) {
      writeState(file, { salt: 0, slotBytes: SLOT_BYTES, sequence: 1, isClosed: false, keys: 0 });
    });
    const seal = (state: TableState) => rewriteState(statePath, state);
    const copied = yield* makeFile(
      logPath,
      (target) => part(copyTo(target, { found, seal }), { from: 1 / 3, to: 1 }),
    );
    isDone = true;
    return copied;
  } finally {
    if (!isDone) {
      [LOG_NAME, STATE_NAME, NOTE_NAME].forEach((name) => removeFile(`${folder}/${name}`));
    }
  }
}

/**
 * Copies the live records to an empty file, and verifies it. `seal` gets the state of the copy and the size
 * of its log.
 */
function* copyTo(target: PositionedFile, { found, seal }: {
  found: Inspection;
  seal: (state: TableState, bytes: number) => void;
}): Steps<Copied> {
  const writing = writeLive(found, partOf(target, { from: 0 }));
  const { state, bytes } = yield* part(writing, { from: 0, to: 1 / 2 });
  target.truncate(bytes);
  seal(state, bytes);
  const log = partOf(target, { from: 0, to: bytes });
  const copy = { log, state, stateError: undefined, [Symbol.dispose]() {} };
  const again = yield* part(Inspection.of(copy), { from: 1 / 2, to: 1 });
  const keys = found.memtable.size;
  if (again.damage.length > 0) {
    throw new Error(`the copy is damaged: ${describeDamage(again.damage[0]!)}`);
  }
  if (again.memtable.size !== keys) {
    throw new Error(`the copy has ${again.memtable.size} keys, and not ${keys}`);
  }
  return { found, keys, bytes };
}

/** Writes the live records of a log to an empty file, as a log of its own. */
function* writeLive(
  found: Inspection,
  file: PositionedFile,
): Steps<{ state: TableState; bytes: number }> {
  const { memtable, damage } = found;
  const version = found.version + (damage.length > 0 ? LOST_VERSIONS_MAX : 0);
  const salt = newSalt();
  Log.create(file, { salt });
  const log = new Log(file, findChain(file), { salt });
  const commit = () => {
    log.makeRoom();
    log.commit({ version, oldest: 1 });
  };
  let keys = 0;
  for (const { segment, piece } of found.pieces()) {
    if (piece.kind !== "record") continue;
    const ref = memtable.find(piece.change.key);
    if (ref === NO_REF || memtable.records.place(ref) !== segment.start + piece.offset) continue;
    log.add(piece.change);
    keys++;
    if (log.length < TURN_BYTES) continue;
    commit();
    yield { keys, fraction: keys / memtable.size };
  }
  // One turn at least: it has the last version.
  commit();
  yield { keys, fraction: 1 };
  const { sequence, active } = log;
  const state = { salt, slotBytes: SLOT_BYTES, sequence, isClosed: true, keys };
  return { state, bytes: active.start + active.end };
}

/** What is wrong, and where. */
export function describeDamage({ offset, why }: Damage): string {
  return offset === undefined ? why : `at byte ${offset}, ${why}`;
}

function writeState(file: PositionedFile, state: TableState): void {
  const written = new StateFile(file, state);
  for (const _copy of [1, 2]) written.write({});
}

function rewriteState(path: string, state: TableState): void {
  const file = openFile(path);
  writeState(file, state);
  file.sync();
  file.close();
}

/** Steps that are part of a larger piece of work. */
function* part<Result>(
  steps: Steps<Result>,
  { from, to }: { from: number; to: number },
): Steps<Result> {
  try {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      const { keys, fraction }: Progress = step.value;
      yield { keys, fraction: from + fraction * (to - from) };
    }
  } finally {
    steps.return(undefined as Result); // If these are cut short, so are those.
  }
}

function explained(what: string, error: unknown): OpenError {
  return new OpenError(`Cannot ${what}: ${messageOf(error)}`, { cause: error });
}
