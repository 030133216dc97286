/**
 * A buffer for what a turn gathers. It grows at its end, and is emptied when the turn ends.
 *
 * @module
 */

import { MemoryBudget } from "./memtable/memory_budget.ts";
import type { Memory } from "./text.ts";

/** How much memory a buffer begins with, in bytes: a power of two. */
const BYTES_MIN = 65_536;
/** How much it keeps for good, because fresh memory costs more than filling it. */
const KEPT_BYTES_MAX = 1_048_576;
/** After this many turns that use less than a quarter of it, larger memory is given back. */
const TURNS_UNUSED_MAX = 64;

/** A run of bytes that grows at its end. */
export class TurnBuffer {
  readonly #headBytes: number;
  readonly #budget: MemoryBudget;
  #memory: Memory;
  #length: number;
  #turnsUnused = 0;

  /** An empty buffer in which this many bytes are always in use, for what is written when the turn ends. */
  constructor({ headBytes = 0, budget = new MemoryBudget() } = {}) {
    this.#headBytes = headBytes;
    this.#budget = budget;
    this.#memory = budget.memory(BYTES_MIN);
    this.#length = headBytes;
  }

  /** Where the bytes are, in a multiple of eight bytes; other memory after the next `claim`. */
  get memory(): Memory {
    return this.#memory;
  }

  /** How many bytes are in use, from the start on. */
  get length(): number {
    return this.#length;
  }

  /**
   * Puts this many more bytes in use, whatever they hold, and returns the offset of the first. Throws
   * MemoryFullError.
   */
  claim(bytes: number): number {
    const start = this.#length;
    const end = start + bytes;
    if (end > this.#memory.bytes.length) this.#grow(end);
    this.#length = end;
    return start;
  }

  /** Keeps this many of the bytes in use, and drops the rest. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Drops all bytes but the head. */
  clear(): void {
    const used = this.#length;
    const size = this.#memory.bytes.length;
    this.#length = this.#headBytes;
    if (size <= KEPT_BYTES_MAX || 4 * used >= size) this.#turnsUnused = 0;
    else if (++this.#turnsUnused > TURNS_UNUSED_MAX) this.#replace(BYTES_MIN);
  }

  #grow(length: number): void {
    let size = 2 * this.#memory.bytes.length;
    while (size < length) size *= 2;
    this.#replace(size);
  }

  /** Moves the bytes in use to other memory. */
  #replace(size: number): void {
    const before = this.#memory;
    this.#memory = this.#budget.memory(size);
    this.#memory.bytes.set(before.bytes.subarray(0, this.#length));
    this.#budget.free(before.bytes.buffer);
  }
}
