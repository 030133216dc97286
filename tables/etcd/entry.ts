/**
 * An entry of the log in etcd as bytes: the table's latest version, the time of writing, and the resulting
 * state of the keys that one turn changed. The parts of a snapshot hold the same changes, without a head.
 *
 * @module
 */

import {
  type Change,
  changeBytesAt,
  KIND,
  readChange,
  sizeOfChange,
  writeChange,
} from "../change.ts";
import type { ChangeLog } from "../memory_table.ts";
import { Memory } from "../text.ts";
import { TurnBuffer } from "../turn_buffer.ts";
import { foreign } from "./foreign.ts";
import type { Bytes } from "./messages.ts";

/** What stands before the changes. */
export interface Head {
  /** The last version that the table has given. */
  readonly version: number;
  /** What the clock of the entry's server showed, in milliseconds since 1970; 0 if unknown. */
  readonly time: number;
}

// Little-endian: this header, then the changes.
const VERSION = 0; // f64
const TIME = 8; // f64
const HEADER_BYTES = 16;

/** Changes on their way to the log, or to a part of a snapshot. */
export class ChangeWriter implements ChangeLog {
  readonly #buffer = new TurnBuffer({ headBytes: HEADER_BYTES });

  /** How many bytes the entry has, including its head. */
  get length(): number {
    return this.#buffer.length;
  }

  add(change: Change): number {
    const at = this.#buffer.claim(sizeOfChange(change));
    writeChange(change, this.#buffer.memory, at);
    return 0; // It can't be read back by its place.
  }

  undo(length: number): void {
    this.#buffer.truncate(length);
  }

  /** The entry; valid until the next change. */
  entry(head: Head): Bytes {
    writeHead(this.#buffer.memory, head);
    return this.#buffer.memory.bytes.subarray(0, this.length);
  }

  /** The changes alone; valid until the next change. */
  changes(): Bytes {
    return this.#buffer.memory.bytes.subarray(HEADER_BYTES, this.length);
  }

  /** Drops all changes. */
  clear(): void {
    this.#buffer.clear();
  }
}

/** An entry without changes. */
export function emptyEntry(): Bytes {
  const memory = new Memory(HEADER_BYTES);
  writeHead(memory, { version: 0, time: 0 });
  return memory.bytes;
}

/** The head of an entry. Throws TableError if these bytes are not an entry. */
export function headOf(entry: Bytes): Head {
  if (entry.length < HEADER_BYTES) throw foreign();
  const { view } = new Memory(entry);
  return { version: view.getFloat64(VERSION, true), time: view.getFloat64(TIME, true) };
}

/** The changes of an entry. Throws TableError. */
export function changesOf(entry: Bytes): Generator<Change> {
  return readChanges(new Memory(entry), HEADER_BYTES);
}

/** The changes that make up a part of a snapshot. Throws TableError. */
export function changesIn(chunk: Bytes): Generator<Change> {
  return readChanges(new Memory(chunk), 0);
}

function* readChanges(memory: Memory, from: number): Generator<Change> {
  const { length } = memory.bytes;
  for (let at = from; at < length;) {
    const end = at + wholeBytesAt(memory, at);
    if (end > length) throw foreign();
    const change = readChange(memory, at);
    if (change.kind < KIND.PUT || change.kind > KIND.CLEAR) throw foreign();
    yield change;
    at = end;
  }
}

function wholeBytesAt(memory: Memory, at: number): number {
  try {
    return changeBytesAt(memory, at);
  } catch (error) {
    if (error instanceof RangeError) throw foreign(); // Its end is missing.
    throw error;
  }
}

function writeHead({ view }: Memory, { version, time }: Head): void {
  view.setFloat64(VERSION, version, true);
  view.setFloat64(TIME, time, true);
}
