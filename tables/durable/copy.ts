/**
 * Copies of a table: a backup is a log of its own in one file, with what was live at one moment, and a restore
 * makes a folder of it. Both read every record that they copy, and verify it.
 *
 * A server may have the table open. The copy holds a shared lock on the log meanwhile, so that the server
 * overwrites nothing of what the log had when it began.
 *
 * @module
 */

import { KIND, readChange } from "../change.ts";
import { NO_REF } from "../memtable/arena.ts";
import { Memtable } from "../memtable/memtable.ts";
import type { Memory } from "../text.ts";
import { messageOf, OpenError } from "./errors.ts";
import { FolderLock } from "./folder_lock.ts";
import { type Chain, findChain, readTurns } from "./log/chain.ts";
import { openFile, type PositionedFile } from "./log/file.ts";
import {
  changeIn,
  recordBytes,
  recordBytesAt,
  SLOT_BYTES,
  TURN_HEADER_BYTES,
} from "./log/format.ts";
import { load } from "./log/load.ts";
import { Log } from "./log/log.ts";
import { makeIndex } from "./log/segment_index.ts";
import { StateFile } from "./log/state_file.ts";
import {
  asOpenError,
  checkedChain,
  LOG_NAME,
  newSalt,
  openLog,
  openState,
  refuseOld,
  STATE_NAME,
  syncFolder,
} from "./table_folder.ts";

/** How large a turn of a copy gets, in bytes. */
const TURN_BYTES = 1_048_576;
/** What a copy is called until it is whole. */
const NEW_SUFFIX = ".new";

/** How far a copy is. */
export interface Progress {
  /** How many keys are copied. */
  readonly keys: number;
  /** How many there are. */
  readonly all: number;
}

/** Is told how far a copy is, now and then. */
export type OnProgress = (progress: Progress) => void;

/** Copies the table in a folder to a new file. Throws OpenError, and then leaves no file. */
export function backUp(folder: string, file: string, onProgress: OnProgress = () => {}): number {
  return explained(`back up ${folder} to ${file}`, () => {
    refuseOld(folder);
    using source = openSource(folder);
    let keys = 0;
    makeWhole(file, (target) => {
      keys = copyLive(source, target, onProgress).keys;
    });
    return keys;
  });
}

/** Makes a table of a backup, in a folder that is empty or missing. Throws OpenError. */
export function restore(file: string, folder: string, onProgress: OnProgress = () => {}): number {
  return explained(`restore ${file} to ${folder}`, () => {
    using source = openFileAsSource(file);
    using _lock = new FolderLock(folder, { mustBeEmpty: true });
    let copied = { keys: 0, salt: 0, sequence: 0 };
    makeWhole(`${folder}/${LOG_NAME}`, (target) => {
      copied = copyLive(source, target, onProgress);
    });
    const { keys, salt, sequence } = copied;
    makeWhole(`${folder}/${STATE_NAME}`, (target) => {
      const state = new StateFile(target, {
        salt,
        slotBytes: SLOT_BYTES,
        sequence,
        isClosed: true,
      });
      state.write({});
      state.write({});
    });
    return keys;
  });
}

/** A log to read, which nobody overwrites meanwhile. */
interface Source extends Disposable {
  readonly log: PositionedFile;
  readonly chain: Chain;
}

function openSource(folder: string): Source {
  using stack = new DisposableStack();
  const log = stack.adopt(openLog(folder, { isReadOnly: true }), (log) => log.close());
  const pin = stack.adopt(Deno.openSync(log.path), (pin) => pin.close());
  pin.lockSync(false);
  const state = stack.adopt(openState(folder, { isReadOnly: true }), (state) => state.close());
  const chain = checkedChain(log, state);
  const owned = stack.move();
  return { log, chain, [Symbol.dispose]: () => owned.dispose() };
}

function openFileAsSource(path: string): Source {
  const log = openFile(path, { isReadOnly: true });
  try {
    const chain = asOpenError(path, () => findChain(log));
    return { log, chain, [Symbol.dispose]: () => log.close() };
  } catch (error) {
    log.close();
    throw error;
  }
}

/** Writes the live records of a log to an empty file, as a log of its own. */
function copyLive(
  { log: file, chain }: Source,
  target: PositionedFile,
  onProgress: OnProgress,
): { keys: number; salt: number; sequence: number } {
  const segmentBytes = chain.segments[0]!.header.slotBytes;
  const memtable = new Memtable({ log: { segmentBytes, recordBytes } });
  asOpenError(file.path, () => load({ file, chain, memtable, hotBytesMax: 0 }));
  const all = memtable.size;
  const salt = newSalt();
  const unsynced = withoutSync(target);
  Log.create(unsynced, { salt });
  const copy = new Log(unsynced, findChain(unsynced), { salt });
  const version = Math.max(chain.last?.header.version ?? 0, chain.segments.at(-1)!.header.version);
  const commit = () => {
    copy.makeRoom();
    copy.commit({ version, oldest: 1 });
  };
  let keys = 0;
  let memory: Memory | undefined;
  for (const segment of chain.segments) {
    const read = readTurns(file, segment, memory);
    memory = read.memory;
    if (read.end < segment.end) {
      throw new OpenError(`${file.path} is damaged at byte ${segment.start + read.end}`);
    }
    for (const turn of read.turns) {
      const end = turn.offset + turn.length;
      for (let at = turn.offset + TURN_HEADER_BYTES; at < end;) {
        const change = readChange(memory, changeIn(at));
        const ref = change.kind === KIND.PUT ? memtable.find(change.key) : NO_REF;
        if (ref !== NO_REF && memtable.records.place(ref) === segment.start + at) {
          copy.add(change);
          keys++;
        }
        at += recordBytesAt(memory, at, end)!;
        if (copy.length < TURN_BYTES) continue;
        commit();
        onProgress({ keys, all });
      }
    }
  }
  if (keys !== all) throw new OpenError(`${file.path} has ${keys} of its ${all} keys`);
  commit();
  for (const segment of copy.segments) {
    const index = segment === copy.active ? undefined : makeIndex(unsynced, segment);
    if (index !== undefined) copy.writeIndex(segment, index);
  }
  target.truncate(copy.active.start + copy.active.end);
  return { keys, salt, sequence: copy.sequence };
}

/** The same file, but a sync does nothing: one at the end is enough for a copy. */
function withoutSync(file: PositionedFile): PositionedFile {
  return {
    path: file.path,
    size: () => file.size(),
    read: (bytes, offset) => file.read(bytes, offset),
    readLater: (bytes, offset) => file.readLater(bytes, offset),
    write: (bytes, offset) => file.write(bytes, offset),
    truncate: (size) => file.truncate(size),
    sync() {},
    close() {},
  };
}

/** Makes a file under its name only once it is whole and durable. Throws where one is there. */
function makeWhole(path: string, fill: (file: PositionedFile) => void): void {
  const reserved = openFile(path, { isNew: true });
  reserved.close();
  try {
    const file = openFile(path + NEW_SUFFIX, { isNew: true });
    try {
      fill(file);
      file.sync();
    } finally {
      file.close();
    }
    Deno.renameSync(path + NEW_SUFFIX, path);
    syncFolder(folderOf(path));
  } catch (error) {
    for (const each of [path + NEW_SUFFIX, path]) Deno.removeSync(each);
    throw error;
  }
}

function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash + 1);
}

function explained<Result>(what: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    throw new OpenError(`Cannot ${what}: ${messageOf(error)}`, { cause: error });
  }
}
