/**
 * A slab: one contiguous piece of an arena's memory, which is filled with records from its start to its end.
 *
 * @module
 */

import type { Memory } from "../text.ts";

/** A slab. */
export class Slab {
  /** Its bytes. */
  readonly memory: Memory;
  /** The same bytes, four at a time. */
  readonly words: Int32Array;
  /** Whether its records have no values: eviction passes it by. */
  readonly isCold: boolean;
  /** Where the next record goes, in bytes. */
  used = 0;
  /** The bytes of records that are not freed. */
  liveBytes = 0;

  /** An empty slab in this memory. */
  constructor(memory: Memory, { isCold }: { isCold: boolean }) {
    this.memory = memory;
    this.words = new Int32Array(memory.bytes.buffer);
    this.isCold = isCold;
  }
}
