/**
 * The orders in which a memtable keeps references to its records.
 *
 * @module
 */

import { compareTexts, copyText, Memory, Text } from "../text.ts";
import type { Arena } from "./arena.ts";
import type { Order } from "./sorted_refs.ts";

/** How much memory is taken at a time for copies of keys, in bytes. */
const COPIES_BYTES = 4_096;

/** The sort key of a record by expiry; records that expire together are in the order of their references. */
export interface ExpirySortKey {
  /** When it expires, in milliseconds since 1970. */
  readonly expiresAt: number;
  /** The reference. */
  readonly ref: number;
}

/** Orders records by their key, in code-point order. */
export class KeyOrder implements Order<Text> {
  readonly #arena: Arena;
  // Copies lie side by side: whoever looks for a key compares many of them.
  #copies = new Memory(0);
  #used = 0;

  /** Orders the records of this arena. */
  constructor(arena: Arena) {
    this.#arena = arena;
  }

  sortKeyOf(ref: number): Text {
    return this.#arena.key(ref);
  }

  copyOf(key: Text): Text {
    const start = this.#used + key.length <= this.#copies.bytes.length ? this.#used : 0;
    if (start === 0) this.#copies = new Memory(Math.max(COPIES_BYTES, key.length));
    copyText(key, this.#copies, start);
    this.#used = start + key.length;
    return new Text(this.#copies, start, this.#used);
  }

  compare(a: Text, b: Text): number {
    return compareTexts(a, b);
  }
}

/** Orders records by when they expire. */
export class ExpiryOrder implements Order<ExpirySortKey> {
  readonly #arena: Arena;

  /** Orders the records of this arena. */
  constructor(arena: Arena) {
    this.#arena = arena;
  }

  sortKeyOf(ref: number): ExpirySortKey {
    return { expiresAt: this.#arena.expiresAt(ref), ref };
  }

  copyOf(sortKey: ExpirySortKey): ExpirySortKey {
    return sortKey;
  }

  compare(a: ExpirySortKey, b: ExpirySortKey): number {
    return a.expiresAt - b.expiresAt || a.ref - b.ref;
  }
}
