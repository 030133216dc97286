/**
 * Memory for large values, one piece for each. A record refers to its value here by a number, so that moving
 * the record leaves the value where it is.
 *
 * @module
 */

import { copyText, type Memory, Text } from "../text.ts";
import { allocate } from "./memory_full.ts";

/** Pieces are a multiple of this, in bytes, and grow by an eighth, so that a freed one fits other values. */
const STEP_BYTES_MIN = 1_024;
/** How much freed memory is kept for the next values, in bytes: fresh memory must be zeroed first. */
const POOL_BYTES_MAX = 16_777_216;

/** Large values by number. */
export class Blobs {
  readonly #pieces: (Memory | undefined)[] = [undefined];
  readonly #freeNumbers: number[] = [];
  /** Freed pieces by size. */
  readonly #pool = new Map<number, Memory[]>();
  #poolBytes = 0;
  #bytes = 0;

  /** The memory that values take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Stores a copy of a value, and returns its number, which is not 0. Throws MemoryFullError. */
  add(value: Text): number {
    const size = sizeFor(value.end - value.start);
    const piece = this.#fromPool(size) ?? allocate(size);
    copyText(value, piece, 0);
    const number = this.#freeNumbers.pop() ?? this.#pieces.length;
    this.#pieces[number] = piece;
    this.#bytes += piece.bytes.length;
    return number;
  }

  /** The first `length` bytes of a value. */
  get(number: number, length: number): Text {
    return new Text(this.#pieces[number]!, 0, length);
  }

  /** Frees a value. What was read from it may be overwritten from now on. */
  free(number: number): void {
    const piece = this.#pieces[number]!;
    const size = piece.bytes.length;
    this.#pieces[number] = undefined;
    this.#freeNumbers.push(number);
    this.#bytes -= size;
    if (size > POOL_BYTES_MAX) return;
    // The size that has been there for longest makes room: perhaps nobody asks for it any longer.
    while (this.#poolBytes + size > POOL_BYTES_MAX) this.#fromPool(this.#pool.keys().next().value!);
    const pieces = this.#pool.get(size);
    if (pieces === undefined) this.#pool.set(size, [piece]);
    else pieces.push(piece);
    this.#poolBytes += size;
  }

  /** A piece of the pool, which no longer has it; undefined if it has none of this size. */
  #fromPool(size: number): Memory | undefined {
    const pieces = this.#pool.get(size);
    const piece = pieces?.pop();
    if (piece === undefined) return undefined;
    if (pieces!.length === 0) this.#pool.delete(size);
    this.#poolBytes -= size;
    return piece;
  }
}

/** The size of the piece for a value. */
function sizeFor(length: number): number {
  const step = Math.max(STEP_BYTES_MIN, 2 ** (Math.floor(Math.log2(length)) - 3));
  return Math.ceil(length / step) * step;
}
