/**
 * What a turn has changed: the last change of each key, undoable, and what they will cost in a
 * transaction of etcd, which takes no key twice and so many operations and bytes.
 *
 * @module
 */

import type { Entry } from "../table.ts";
import { around, compareBytes, encodeEntry, type KeySpace } from "./record.ts";
import type { Bytes, Op } from "./messages.ts";

/** What became of a key. */
export interface Change {
  /** What was stored before the turn, as far as that is known; undefined: nothing. */
  readonly before: Entry | undefined;
  /** What is stored now; undefined: nothing. */
  readonly after: Entry | undefined;
}

/** What an operation takes beside the key and the value, in bytes, and a little more. */
const OP_BYTES = 64;

/** The changes of one turn. Iterates over the keys that were changed, after the last CLEAR if there was one. */
export class Changes implements Iterable<[string, Change]> {
  #byKey = new Map<string, Change>();
  readonly #journal: (() => void)[] = [];
  #isCleared = false;
  #opCount = 0;
  #bytes = 0;

  /** The keys with their changes. */
  [Symbol.iterator](): Iterator<[string, Change]> {
    return this.#byKey[Symbol.iterator]();
  }

  /** How many keys were changed. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Whether the table was cleared; what is here came after it. */
  get isCleared(): boolean {
    return this.#isCleared;
  }

  /** How many operations it takes to carry the changes out, at most. */
  get opCount(): number {
    return this.#opCount;
  }

  /** How many bytes that takes, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The change of a key. */
  get(key: string): Change | undefined {
    return this.#byKey.get(key);
  }

  /** Notes a change of a key. */
  set(key: string, change: Change): void {
    const previous = this.#byKey.get(key);
    const [opCount, bytes] = [this.#opCount, this.#bytes];
    this.#journal.push(() => {
      if (previous === undefined) this.#byKey.delete(key);
      else this.#byKey.set(key, previous);
      [this.#opCount, this.#bytes] = [opCount, bytes];
    });
    const added = this.#costOf(key, change);
    const removed = previous === undefined ? { ops: 0, bytes: 0 } : this.#costOf(key, previous);
    this.#opCount += added.ops - removed.ops;
    this.#bytes += added.bytes - removed.bytes;
    this.#byKey.set(key, change);
  }

  /** Notes that every key is removed. */
  clear(): void {
    const [byKey, isCleared] = [this.#byKey, this.#isCleared];
    const [opCount, bytes] = [this.#opCount, this.#bytes];
    this.#journal.push(() => {
      [this.#byKey, this.#isCleared] = [byKey, isCleared];
      [this.#opCount, this.#bytes] = [opCount, bytes];
    });
    this.#byKey = new Map();
    this.#isCleared = true;
    this.#opCount = 2;
    this.#bytes = 2 * OP_BYTES;
  }

  /** A point to which `undo` goes back. */
  mark(): number {
    return this.#journal.length;
  }

  /** Undoes every change since the mark. */
  undo(mark: number): void {
    while (this.#journal.length > mark) this.#journal.pop()!();
  }

  /** The operations that carry the changes out. */
  toOps(space: KeySpace): Op[] {
    const ops: Op[] = [];
    const stored: { entries: Bytes[]; expiries: Bytes[] } = { entries: [], expiries: [] };
    for (const [key, { before, after }] of this.#byKey) {
      const entry = space.entry(key);
      if (after !== undefined) {
        ops.push({ type: "put", key: entry, value: encodeEntry(after) });
        stored.entries.push(entry);
      } else if (!this.#isCleared) {
        ops.push({ type: "delete", key: entry });
      }
      const [old, now] = [before?.expiresAt ?? null, after?.expiresAt ?? null];
      if (old === now) continue;
      if (old !== null) ops.push({ type: "delete", key: space.expiry(key, old) });
      if (now !== null) {
        const hint = space.expiry(key, now);
        ops.push({ type: "put", key: hint, value: new Uint8Array(0) });
        stored.expiries.push(hint);
      }
    }
    if (this.#isCleared) {
      // Etcd takes no put under a range that the same transaction deletes: delete what lies around it.
      for (const part of ["entries", "expiries"] as const) {
        const spans = around(space[part], stored[part].sort(compareBytes));
        ops.push(...spans.map((span) => ({ type: "delete" as const, ...span })));
      }
    }
    return ops;
  }

  #costOf(key: string, { before, after }: Change): { ops: number; bytes: number } {
    const [old, now] = [before?.expiresAt ?? null, after?.expiresAt ?? null];
    const hints = old === now ? 0 : (old === null ? 0 : 1) + (now === null ? 0 : 1);
    // After CLEAR, each thing that is stored cuts a range in two.
    const ops = (1 + hints) * (this.#isCleared ? 2 : 1);
    return { ops, bytes: ops * (OP_BYTES + 3 * key.length) + (after?.value.length ?? 0) };
  }
}
