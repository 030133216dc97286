/**
 * Memory for large values, one piece for each. A record refers to its value here by a number, so that moving
 * the record leaves the value where it is. A value never changes, and replies may lease its memory.
 *
 * @module
 */

import { copyText, MARGIN_BYTES, type Memory, Text } from "../text.ts";
import { MemoryBudget } from "./memory_budget.ts";

/** Pieces are a multiple of this, in bytes, and grow by an eighth, so that a freed one fits other values. */
const STEP_BYTES_MIN = 1_024;

/** Large values by number. */
export class Blobs {
  readonly #pieces: (Memory | undefined)[] = [undefined];
  readonly #freeNumbers: number[] = [];
  readonly #budget: MemoryBudget;
  #bytes = 0;

  /** No values yet; their memory comes from this budget. */
  constructor(budget: MemoryBudget = new MemoryBudget()) {
    this.#budget = budget;
  }

  /** The memory that values take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Stores a copy of a value, and returns its number, which is not 0. Throws MemoryFullError. */
  add(value: Text): number {
    const piece = this.#budget.memory(blobBytes(value.end - value.start));
    copyText(value, piece, MARGIN_BYTES);
    piece.isLeasable = true;
    const number = this.#freeNumbers.pop() ?? this.#pieces.length;
    this.#pieces[number] = piece;
    this.#bytes += piece.bytes.length;
    return number;
  }

  /** The first `length` bytes of a value. */
  get(number: number, length: number): Text {
    return new Text(this.#pieces[number]!, MARGIN_BYTES, MARGIN_BYTES + length);
  }

  /** Frees a value. What was read from it may be overwritten from now on, unless it is leased. */
  free(number: number): void {
    const piece = this.#pieces[number]!;
    this.#pieces[number] = undefined;
    this.#freeNumbers.push(number);
    this.#bytes -= piece.bytes.length;
    this.#budget.free(piece);
  }

  /** Throws an error where a value can't be leased, or the bytes are not those that are counted. */
  check(): void {
    let bytes = 0;
    for (const piece of this.memories()) {
      if (!piece.isLeasable) throw new Error("A large value can't be leased");
      bytes += piece.bytes.length;
    }
    if (bytes !== this.#bytes) throw new Error(`Values take ${bytes} bytes, not ${this.#bytes}`);
  }

  /** The memory of all values. */
  *memories(): Generator<Memory> {
    for (const piece of this.#pieces) if (piece !== undefined) yield piece;
  }
}

/** The size of the piece for a value of this length and its margins, in bytes. */
export function blobBytes(length: number): number {
  const step = Math.max(STEP_BYTES_MIN, 2 ** (Math.floor(Math.log2(length)) - 3));
  return Math.ceil(length / step) * step + 2 * MARGIN_BYTES;
}
