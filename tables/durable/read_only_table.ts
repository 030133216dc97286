/**
 * A table opened for reading only: the folder of a server, running or not, or a backup. A backup is one file:
 * a log followed by the state of the table; without the state, the file is known to be cut short.
 *
 * While it is open it holds a shared lock on the log, so that a server overwrites nothing in it.
 *
 * @module
 */

import { messageOf, OpenError } from "./errors.ts";
import { type Chain, DamageError, findChain, type Identity } from "./log/chain.ts";
import { openFile, type PositionedFile } from "./log/file.ts";
import { StateFile, type TableState } from "./log/state_file.ts";
import { isSlotSize } from "./log/survey.ts";
import { checkedChain, openLog, openState, refuseOld } from "./table_folder.ts";

/** The size of the state behind the log of a backup, in bytes. */
export const BACKUP_STATE_BYTES = 4_136;
/** The least that is lost if a disk can't be read, in bytes. */
const SECTOR_BYTES = 4_096;
/** How often to try to find the chain: a server may be writing at its end at this moment. */
const ATTEMPTS = 5;

/** A table to read. */
export interface ReadOnlyTable extends Disposable {
  /** The log. */
  readonly log: PositionedFile;
  /** The state; undefined if it is lost. */
  readonly state: TableState | undefined;
  /** Why it is lost. */
  readonly stateError: string | undefined;
  /** Whether the end of the log is lost with it, so that what is there of its last turn counts. */
  readonly isCut?: boolean;
}

/** Opens the table in a folder or in a backup. Throws OpenError. */
export function openReadOnly(path: string): ReadOnlyTable {
  try {
    return Deno.statSync(path).isDirectory ? openFolder(path) : openBackup(path);
  } catch (error) {
    if (error instanceof OpenError) throw error;
    const why = error instanceof Deno.errors.NotFound
      ? "there is no such file or folder"
      : messageOf(error);
    throw new OpenError(`Cannot read ${path}: ${why}.`, { cause: error });
  }
}

/** Finds the chain of a table. Throws DamageError. */
export function chainOf({ log, state }: ReadOnlyTable, identity: Identity): Chain {
  for (let attempt = 1;; attempt++) {
    try {
      return state === undefined
        ? findChain(log, identity)
        : checkedChain(log, new StateFile(log, state));
    } catch (error) {
      if (!(error instanceof DamageError) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** A file whose unreadable bytes are zeros, which match no checksum. */
export function zeroUnreadable(file: PositionedFile): PositionedFile {
  const isReadable = (bytes: Uint8Array, offset: number) => {
    try {
      file.read(bytes, offset);
      return true;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return false;
    }
  };
  const read = (bytes: Uint8Array, offset: number) => {
    const length = Math.max(0, Math.min(bytes.length, file.size() - offset));
    if (isReadable(bytes.subarray(0, length), offset)) return length;
    for (let at = 0; at < length;) {
      const end = Math.min(length, at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES);
      const sector = bytes.subarray(at, end);
      if (!isReadable(sector, offset + at)) sector.fill(0);
      at = end;
    }
    return length;
  };
  return { ...partOf(file, { from: 0 }), read, close: () => file.close() };
}

/** A part of a file, as a file of its own. */
export function partOf(
  file: PositionedFile,
  { from, to = Infinity }: { from: number; to?: number },
): PositionedFile {
  const within = (bytes: Uint8Array, offset: number) =>
    bytes.subarray(0, Math.max(0, Math.min(bytes.length, to - from - offset)));
  return {
    path: file.path,
    size: () => Math.min(file.size(), to) - from,
    read: (bytes, offset) => file.read(within(bytes, offset), from + offset),
    readLater: (bytes, offset) => file.readLater(within(bytes, offset), from + offset),
    write: (bytes, offset) => file.write(bytes, from + offset),
    truncate: (size) => file.truncate(from + size),
    // A copy is synced once, at its end.
    sync() {},
    close() {},
  };
}

function openFolder(folder: string): ReadOnlyTable {
  refuseOld(folder);
  using stack = new DisposableStack();
  const log = stack.adopt(openLog(folder, { isReadOnly: true }), (log) => log.close());
  const lock = stack.adopt(Deno.openSync(log.path), (lock) => lock.close());
  lock.lockSync(false);
  const { state, stateError } = stateOf(() => openState(folder, { isReadOnly: true }));
  state?.close();
  const owned = stack.move();
  return {
    log: zeroUnreadable(log),
    state: state?.state,
    stateError,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function openBackup(path: string): ReadOnlyTable {
  const file = zeroUnreadable(openFile(Deno.realPathSync(path), { isReadOnly: true }));
  const end = Math.max(0, file.size() - BACKUP_STATE_BYTES);
  const { state, stateError } = stateOf(() => {
    const found = StateFile.read(partOf(file, { from: end }));
    if (found !== undefined) return found;
    throw new OpenError("it does not end as a backup does: it was cut, or not copied as a whole");
  });
  const log = state === undefined ? file : partOf(file, { from: 0, to: end });
  return {
    log,
    state: state?.state,
    stateError,
    isCut: state === undefined,
    [Symbol.dispose]: () => file.close(),
  };
}

function stateOf(
  read: () => StateFile,
): { state: StateFile | undefined; stateError: string | undefined } {
  try {
    const state = read();
    if (isSlotSize(state.state.slotBytes)) return { state, stateError: undefined };
    return { state: undefined, stateError: "the state says a size of slots that can't be" };
  } catch (error) {
    if (!(error instanceof OpenError || isUnreadable(error))) throw error;
    return { state: undefined, stateError: messageOf(error) };
  }
}

function isUnreadable(error: unknown): boolean {
  return (error as { code?: string }).code === "EIO";
}
