/**
 * Undoes the changes of a turn in a memtable. The journal is a stack of bytes: for each change the record that
 * it overwrote, if any, and a note of what happened.
 *
 * @module
 */

import type { Memory } from "../text.ts";
import { TurnBuffer } from "../turn_buffer.ts";
import type { Contents } from "./contents.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { offsetOf } from "./slabs.ts";

// What happened to a record.
const ADDED = 0;
const MOVED = 1;
const OVERWRITTEN = 2;
const REMOVED = 3;
const CLEARED = 4;

// A note, in integers of four bytes. It stands after the bytes that it is about, so that a walk from the end
// finds both.
const KIND = 0;
const HASH = 4;
const REF = 8;
/** The record that was replaced, or how many bytes were overwritten. */
const MORE = 12;
const LOGGED = 16;
const NOTE_BYTES = 24;
/** From this length on, the native copy is faster than a loop. */
const NATIVE_COPY_BYTES_MIN = 192;

/** A record that is about to change, or has. */
export interface ChangedRecord {
  /** The hash of the record's key. */
  readonly hash: number;
  /** The record. */
  readonly ref: number;
  /** How much of the turn was logged before the change, in bytes: what `undo` tells the log. */
  readonly logged: number;
}

interface Note extends ChangedRecord {
  readonly kind: number;
  readonly more: number;
}

/** What becomes of an undoing. */
export interface Undone {
  /** The contents as they were at the mark. */
  readonly contents: Contents;
  /** Contents that nobody needs any longer. */
  readonly discarded: readonly Contents[];
  /** How much of the turn was logged at the mark, in bytes; undefined if nothing was reverted. */
  readonly logged: number | undefined;
}

/** The changes since the last commit, in order. */
export class Journal {
  readonly #stack: TurnBuffer;
  /** What each CLEAR removed, in order. */
  #cleared: Contents[] = [];
  /** Whether some record leaves, most likely. */
  #isLeaving = false;

  /** An empty journal, whose memory comes from this budget. */
  constructor(budget: MemoryBudget) {
    this.#stack = new TurnBuffer({ budget });
  }

  /** What contents that CLEAR has removed hold until the commit, in bytes, at least. */
  get clearedBytes(): number {
    return this.#cleared.reduce((sum, { arena }) => sum + arena.bytes, 0);
  }

  /** The length of the journal in bytes: a mark to undo to. */
  get length(): number {
    return this.#stack.length;
  }

  /** All memory that the journal holds, with what CLEAR has removed in this turn. */
  *pieces(): Generator<Memory | ArrayBuffer> {
    yield this.#stack.memory;
    for (const contents of this.#cleared) yield* contents.pieces();
  }

  /** Makes room for a note, so that noting what has happened can't fail. Throws MemoryFullError. */
  reserve(): void {
    this.#stack.truncate(this.#stack.claim(NOTE_BYTES));
  }

  /** Notes a new record. */
  noteAdded(record: ChangedRecord): void {
    this.#note(record, ADDED, 0);
  }

  /** Notes a record that replaces `before`, which stays as it is until the commit. */
  noteMoved(record: ChangedRecord, before: number): void {
    this.#note(record, MOVED, before);
    this.#isLeaving = true;
  }

  /** Notes that a record is about to be overwritten. Throws MemoryFullError, with nothing noted. */
  noteOverwritten({ arena }: Contents, record: ChangedRecord): void {
    const { ref } = record;
    const length = roundUp(arena.usedBytes(ref));
    const saved = this.#note(record, OVERWRITTEN, length);
    copyRecord(arena.memory(ref), offsetOf(ref), this.#stack.memory, saved, length);
  }

  /** Notes a record that was removed, and stays as it is until the commit. */
  noteRemoved(record: ChangedRecord): void {
    this.#note(record, REMOVED, 0);
    this.#isLeaving = true;
  }

  /** Notes that everything is removed; `contents` stay until the commit. */
  noteCleared(contents: Contents, logged: number): void {
    this.#cleared.push(contents);
    this.#note({ hash: 0, ref: 0, logged }, CLEARED, 0);
  }

  /**
   * Reverts the changes after a mark. Returns the contents that result, those that are no longer needed, and how
   * much of the turn was logged at the mark; undefined if nothing had to be reverted.
   */
  undo(contents: Contents, mark: number): Undone {
    let current = contents;
    let logged: number | undefined;
    const discarded: Contents[] = [];
    while (this.#stack.length > mark) {
      const end = this.#stack.length - NOTE_BYTES;
      const note = this.#noteAt(end);
      const start = note.kind === OVERWRITTEN ? end - note.more : end;
      this.#stack.truncate(start);
      logged = note.logged;
      if (note.kind === CLEARED) {
        discarded.push(current);
        current = this.#cleared.pop()!;
      } else this.#revert(current, note, start);
    }
    return { contents: current, discarded, logged };
  }

  /** The records that were replaced or removed since the last CLEAR, which the commit frees. */
  *leaving(): Generator<number> {
    for (const { kind, ref, more } of this.#standingNotes()) {
      if (kind === MOVED) yield more;
      if (kind === REMOVED) yield ref;
    }
  }

  /** The records that were added or changed since the last CLEAR and do not leave, each once. */
  *standing(): Generator<number> {
    const passed = new Set(this.leaving());
    for (const { kind, ref } of this.#standingNotes()) {
      if (kind === REMOVED || passed.has(ref)) continue;
      passed.add(ref);
      yield ref;
    }
  }

  /** Empties the journal, frees the records that leave, and returns the contents that do. */
  commit({ arena }: Contents): Contents[] {
    if (this.#isLeaving) { for (const ref of this.leaving()) arena.free(ref); }
    this.#isLeaving = false;
    this.#stack.clear();
    return this.#cleared.splice(0);
  }

  #revert(contents: Contents, { kind, hash, ref, more }: Note, saved: number): void {
    const { arena, index } = contents;
    if (kind === REMOVED) {
      index.add(hash, ref);
      contents.link(ref);
      return;
    }
    contents.unlink(ref);
    if (kind === OVERWRITTEN) {
      copyRecord(this.#stack.memory, saved, arena.memory(ref), offsetOf(ref), more);
      contents.link(ref);
      return;
    }
    if (kind === ADDED) index.remove(hash, ref);
    else index.replace(hash, { from: ref, to: more });
    arena.free(ref);
    if (kind === MOVED) contents.link(more);
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

  /** Writes a note, behind room for what was overwritten, and returns where that begins. */
  #note({ hash, ref, logged }: ChangedRecord, kind: number, more: number): number {
    const saved = kind === OVERWRITTEN ? more : 0;
    const start = this.#stack.claim(saved + NOTE_BYTES);
    const at = start + saved;
    const { view } = this.#stack.memory;
    view.setInt32(at + KIND, kind, true);
    view.setInt32(at + HASH, hash, true);
    view.setInt32(at + REF, ref, true);
    view.setInt32(at + MORE, more, true);
    view.setFloat64(at + LOGGED, logged, true);
    return start;
  }

  #noteAt(at: number): Note {
    const { view } = this.#stack.memory;
    return {
      kind: view.getInt32(at + KIND, true),
      hash: view.getInt32(at + HASH, true),
      ref: view.getInt32(at + REF, true),
      more: view.getInt32(at + MORE, true),
      logged: view.getFloat64(at + LOGGED, true),
    };
  }
}

/** Copies a record, whose length is a multiple of eight: a short loop, which the engine compiles into its caller. */
function copyRecord(from: Memory, at: number, to: Memory, offset: number, length: number): void {
  if (length >= NATIVE_COPY_BYTES_MIN) {
    to.bytes.set(from.bytes.subarray(at, at + length), offset);
    return;
  }
  const [source, target] = [from.view, to.view];
  for (let i = 0; i < length; i += 8) {
    target.setBigInt64(offset + i, source.getBigInt64(at + i, true), true);
  }
}

function roundUp(length: number): number {
  return (length + 7) & ~7;
}
