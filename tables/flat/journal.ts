/**
 * Undoes the changes of a turn in a flat store. The journal holds a few integers for each change, and the
 * bytes that it overwrote.
 *
 * @module
 */

import { Memory } from "../text.ts";
import { type Arena } from "./arena.ts";
import type { Contents } from "./contents.ts";

// What happened to a record.
const ADDED = 0;
const MOVED = 1;
const OVERWRITTEN = 2;
const CLEARED = 3;
/** The integers of a change: what happened, the hash of the key, the record, and one more. */
const WIDTH = 4;
/** The room for overwritten bytes; it grows for a turn that needs more, and shrinks again. */
const SAVED_BYTES_MIN = 65_536;
/** From this many bytes on, the native copy is faster than a loop. */
const NATIVE_COPY_BYTES_MIN = 192;

/** A record and the hash of its key. */
export interface Note {
  /** The hash of the record's key. */
  readonly hash: number;
  /** The record. */
  readonly ref: number;
}

/** The changes since the last commit, in order. */
export class Journal {
  #entries: number[] = [];
  #saved = new Memory(SAVED_BYTES_MIN);
  #savedLength = 0;
  /** What each CLEAR removed, in order. */
  #cleared: Contents[] = [];

  /** The length of the journal in integers: a mark to undo to. */
  get length(): number {
    return this.#entries.length;
  }

  /** Notes a new record. */
  noteAdded({ hash, ref }: Note): void {
    this.#entries.push(ADDED, hash, ref, 0);
  }

  /** Notes a record that replaces `before`, which stays as it is until the commit. */
  noteMoved({ hash, ref, before }: Note & { before: number }): void {
    this.#entries.push(MOVED, hash, ref, before);
  }

  /** Notes that a record is about to be overwritten. */
  noteOverwritten({ arena }: Contents, { hash, ref }: Note): void {
    this.#entries.push(OVERWRITTEN, hash, ref, this.#savedLength);
    this.#save(arena, ref);
  }

  /** Notes that everything is removed; `contents` stay until the commit. */
  noteCleared(contents: Contents): void {
    this.#cleared.push(contents);
    this.#entries.push(CLEARED, 0, 0, 0);
  }

  /** Reverts the changes after a mark, and returns the contents that result. */
  undo(contents: Contents, mark: number): Contents {
    const entries = this.#entries;
    let current = contents;
    while (entries.length > mark) {
      const [kind, hash, ref, more] = entries.splice(-WIDTH) as [number, number, number, number];
      const { arena, index } = current;
      if (kind === CLEARED) {
        current = this.#cleared.pop()!;
        continue;
      }
      current.unlink(ref);
      if (kind === ADDED) {
        index.remove(hash, ref);
        arena.free(ref);
      } else if (kind === MOVED) {
        index.replace(hash, { from: ref, to: more });
        arena.free(ref);
        current.link(more);
      } else {
        this.#restore(arena, { ref, from: more });
        this.#savedLength = more;
        current.link(ref);
      }
    }
    return current;
  }

  /** The records of the changes since the last CLEAR. */
  *standing(): Generator<number> {
    for (let i = this.#firstStanding(); i < this.#entries.length; i += WIDTH) {
      yield this.#entries[i + 2]!;
    }
  }

  /** Empties the journal, and frees the records that others have replaced. */
  commit({ arena }: Contents): void {
    for (let i = this.#firstStanding(); i < this.#entries.length; i += WIDTH) {
      if (this.#entries[i] === MOVED) arena.free(this.#entries[i + 3]!);
    }
    this.#entries.length = 0;
    this.#cleared.length = 0;
    this.#savedLength = 0;
    if (this.#saved.bytes.length > SAVED_BYTES_MIN) this.#saved = new Memory(SAVED_BYTES_MIN);
  }

  #firstStanding(): number {
    if (this.#cleared.length === 0) return 0;
    let i = this.#entries.length - WIDTH;
    while (this.#entries[i] !== CLEARED) i -= WIDTH;
    return i + WIDTH;
  }

  #save(arena: Arena, ref: number): void {
    const length = arena.usedBytes(ref);
    const room = roundUp(length);
    if (this.#savedLength + room > this.#saved.bytes.length) {
      const grown = new Memory(Math.max(2 * this.#saved.bytes.length, this.#savedLength + room));
      grown.bytes.set(this.#saved.bytes.subarray(0, this.#savedLength));
      this.#saved = grown;
    }
    const from = { memory: arena.memory(ref), offset: arena.offset(ref) };
    copyWords(from, { memory: this.#saved, offset: this.#savedLength }, room);
    this.#savedLength += room;
  }

  #restore(arena: Arena, { ref, from }: { ref: number; from: number }): void {
    const to = { memory: arena.memory(ref), offset: arena.offset(ref) };
    copyWords({ memory: this.#saved, offset: from }, to, this.#savedLength - from);
  }
}

interface Place {
  readonly memory: Memory;
  readonly offset: number;
}

/** Copies a record, whose length is a multiple of eight. */
function copyWords(from: Place, to: Place, length: number): void {
  if (length >= NATIVE_COPY_BYTES_MIN) {
    const source = from.memory.bytes.subarray(from.offset, from.offset + length);
    to.memory.bytes.set(source, to.offset);
    return;
  }
  const source = from.memory.view;
  const target = to.memory.view;
  // As doubles only what is text: the engine may change the bits of a NaN, as which header or expiry may
  // look.
  const textEnd = length - 16;
  let i = 0;
  for (; i < 24; i += 4) {
    target.setInt32(to.offset + i, source.getInt32(from.offset + i, true), true);
  }
  for (; i < textEnd; i += 8) {
    target.setFloat64(to.offset + i, source.getFloat64(from.offset + i, true), true);
  }
  for (; i < length; i += 4) {
    target.setInt32(to.offset + i, source.getInt32(from.offset + i, true), true);
  }
}

function roundUp(length: number): number {
  return (length + 7) & ~7;
}
