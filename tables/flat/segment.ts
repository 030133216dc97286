/**
 * One contiguous piece of a flat store's memory, which its arena fills with records.
 *
 * @module
 */

import type { Memory } from "../text.ts";

/** A segment. */
export class Segment {
  /** Its bytes. */
  readonly memory: Memory;
  /** The same bytes, four at a time. */
  readonly words: Int32Array;
  /** Where the next record goes, in bytes. */
  used = 0;
  /** The bytes of records that are not freed. */
  liveBytes = 0;

  /** An empty segment in this memory. */
  constructor(memory: Memory) {
    this.memory = memory;
    this.words = new Int32Array(memory.bytes.buffer);
  }

  /** Its size in bytes. */
  get size(): number {
    return this.memory.bytes.length;
  }
}
