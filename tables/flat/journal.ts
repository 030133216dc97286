/**
 * Undoes the changes of a turn in a flat store. The journal is a stack of bytes: for each change the record
 * that it overwrote, if any, and a note of what happened.
 *
 * @module
 */

import type { Memory } from "../text.ts";
import { TurnBuffer } from "../turn_buffer.ts";
import type { Contents } from "./contents.ts";

// What happened to a record.
const ADDED = 0;
const MOVED = 1;
const OVERWRITTEN = 2;
const CLEARED = 3;

// A note, in integers of four bytes. It stands after the bytes that it is about, so that a walk from the end
// finds both.
const KIND = 0;
const HASH = 4;
const REF = 8;
/** The record that was replaced, or how many bytes were overwritten. */
const MORE = 12;
const NOTE_BYTES = 16;
/** From this many bytes on, the native copy is faster than a loop. */
const NATIVE_COPY_BYTES_MIN = 192;

/** A record and the hash of its key. */
export interface Place {
  /** The hash of the record's key. */
  readonly hash: number;
  /** The record. */
  readonly ref: number;
}

interface Note extends Place {
  readonly kind: number;
  readonly more: number;
}

/** The changes since the last commit, in order. */
export class Journal {
  readonly #stack = new TurnBuffer();
  /** What each CLEAR removed, in order. */
  #cleared: Contents[] = [];
  /** Whether a change has replaced a record by another. */
  #hasMoved = false;

  /** The length of the journal in bytes: a mark to undo to. */
  get length(): number {
    return this.#stack.length;
  }

  /** Notes a new record. */
  noteAdded({ hash, ref }: Place): void {
    this.#note({ kind: ADDED, hash, ref, more: 0 });
  }

  /** Notes a record that replaces `before`, which stays as it is until the commit. */
  noteMoved({ hash, ref, before }: Place & { before: number }): void {
    this.#note({ kind: MOVED, hash, ref, more: before });
    this.#hasMoved = true;
  }

  /** Notes that a record is about to be overwritten. */
  noteOverwritten({ arena }: Contents, { hash, ref }: Place): void {
    const length = roundUp(arena.usedBytes(ref));
    const offset = this.#stack.claim(length);
    const saved = { memory: this.#stack.memory, offset };
    copyRecord({ memory: arena.memory(ref), offset: arena.offset(ref) }, saved, length);
    this.#note({ kind: OVERWRITTEN, hash, ref, more: length });
  }

  /** Notes that everything is removed; `contents` stay until the commit. */
  noteCleared(contents: Contents): void {
    this.#cleared.push(contents);
    this.#note({ kind: CLEARED, hash: 0, ref: 0, more: 0 });
  }

  /** Reverts the changes after a mark, and returns the contents that result. */
  undo(contents: Contents, mark: number): Contents {
    let current = contents;
    while (this.#stack.length > mark) {
      const end = this.#stack.length - NOTE_BYTES;
      const { kind, hash, ref, more } = this.#noteAt(end);
      const start = kind === OVERWRITTEN ? end - more : end;
      this.#stack.truncate(start);
      if (kind === CLEARED) {
        current = this.#cleared.pop()!;
        continue;
      }
      const { arena, index } = current;
      current.unlink(ref);
      if (kind === OVERWRITTEN) {
        const saved = { memory: this.#stack.memory, offset: start };
        copyRecord(saved, { memory: arena.memory(ref), offset: arena.offset(ref) }, more);
        current.link(ref);
        continue;
      }
      if (kind === ADDED) index.remove(hash, ref);
      else index.replace(hash, { from: ref, to: more });
      arena.free(ref);
      if (kind === MOVED) current.link(more);
    }
    return current;
  }

  /** The records of the changes since the last CLEAR, the last first. */
  *standing(): Generator<number> {
    for (const { ref } of this.#standingNotes()) yield ref;
  }

  /** Empties the journal, and frees the records that others have replaced. */
  commit({ arena }: Contents): void {
    if (this.#hasMoved) {
      for (const { kind, more } of this.#standingNotes()) if (kind === MOVED) arena.free(more);
    }
    this.#hasMoved = false;
    this.#cleared.length = 0;
    this.#stack.clear();
  }

  /** The notes since the last CLEAR, the last first. */
  *#standingNotes(): Generator<Note> {
    for (let at = this.#stack.length - NOTE_BYTES; at >= 0; at -= NOTE_BYTES) {
      const note = this.#noteAt(at);
      if (note.kind === CLEARED) return;
      yield note;
      if (note.kind === OVERWRITTEN) at -= note.more;
    }
  }

  #note({ kind, hash, ref, more }: Note): void {
    const at = this.#stack.claim(NOTE_BYTES);
    const { view } = this.#stack.memory;
    view.setInt32(at + KIND, kind, true);
    view.setInt32(at + HASH, hash, true);
    view.setInt32(at + REF, ref, true);
    view.setInt32(at + MORE, more, true);
  }

  #noteAt(at: number): Note {
    const { view } = this.#stack.memory;
    return {
      kind: view.getInt32(at + KIND, true),
      hash: view.getInt32(at + HASH, true),
      ref: view.getInt32(at + REF, true),
      more: view.getInt32(at + MORE, true),
    };
  }
}

interface Source {
  readonly memory: Memory;
  readonly offset: number;
}

/** Copies a record, whose length is a multiple of eight. */
function copyRecord(from: Source, to: Source, length: number): void {
  if (length >= NATIVE_COPY_BYTES_MIN) {
    const source = from.memory.bytes.subarray(from.offset, from.offset + length);
    to.memory.bytes.set(source, to.offset);
    return;
  }
  const source = from.memory.view;
  const target = to.memory.view;
  // As big integers, which keep all bits: the engine makes no object of one that it only copies.
  for (let i = 0; i < length; i += 8) {
    target.setBigInt64(to.offset + i, source.getBigInt64(from.offset + i, true), true);
  }
}

function roundUp(length: number): number {
  return (length + 7) & ~7;
}
