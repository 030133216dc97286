/**
 * References to records in sorted order, such as by key or by expiry.
 *
 * @module
 */

import { NO_REF } from "./record.ts";

/** The references of a chunk before it is split: few enough that an insertion moves little. */
const CHUNK_REFS_MAX = 512;

/** A run of references in order. */
interface Chunk {
  readonly refs: Int32Array;
  length: number;
}

/** Compares a record with a position: negative if the record comes before it, positive if after. */
export type Position = (ref: number) => number;

/**
 * References in chunks. Adding and removing take a binary search and a move within one chunk; counting takes
 * a step for each chunk.
 */
export class SortedRefs {
  readonly #compare: (a: number, b: number) => number;
  readonly #chunks: Chunk[] = [];

  /** Creates an empty list. `compare` must be 0 only for the same reference. */
  constructor(compare: (a: number, b: number) => number) {
    this.#compare = compare;
  }

  /** Adds a reference. While it is in the list, its place in the order must not change. */
  add(ref: number): void {
    const position = (other: number) => this.#compare(other, ref);
    const c = Math.min(this.#chunkAt(position), this.#chunks.length - 1);
    let chunk = this.#chunks[c];
    if (chunk === undefined) {
      chunk = { refs: new Int32Array(CHUNK_REFS_MAX), length: 0 };
      this.#chunks.push(chunk);
    }
    const i = indexIn(chunk, position);
    chunk.refs.copyWithin(i + 1, i, chunk.length);
    chunk.refs[i] = ref;
    if (++chunk.length === CHUNK_REFS_MAX) this.#split(c);
  }

  /** Removes a reference, which must be in the list. */
  remove(ref: number): void {
    const position = (other: number) => this.#compare(other, ref);
    const c = this.#chunkAt(position);
    const chunk = this.#chunks[c];
    const i = chunk === undefined ? 0 : indexIn(chunk, position);
    if (chunk?.refs[i] !== ref) throw new Error("Cannot remove a reference: it is not in the list");
    chunk.refs.copyWithin(i, i + 1, chunk.length);
    if (--chunk.length === 0) this.#chunks.splice(c, 1);
  }

  /** How many references come before a position. */
  countBefore(position: Position): number {
    const c = this.#chunkAt(position);
    let count = 0;
    for (let i = 0; i < c; i++) count += this.#chunks[i]!.length;
    const chunk = this.#chunks[c];
    return chunk === undefined ? count : count + indexIn(chunk, position);
  }

  /** The references from a position on, in sorted order. */
  *from(position: Position): Generator<number> {
    const first = this.#chunkAt(position);
    for (let c = first; c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c]!;
      for (let i = c === first ? indexIn(chunk, position) : 0; i < chunk.length; i++) {
        yield chunk.refs[i]!;
      }
    }
  }

  /** The first chunk whose last reference does not come before the position. */
  #chunkAt(position: Position): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { refs, length } = this.#chunks[middle]!;
      if (position(refs[length - 1] ?? NO_REF) >= 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #split(c: number): void {
    const chunk = this.#chunks[c]!;
    // The last chunk gives up little, so that keys which arrive in sorted order leave full chunks.
    const kept = c === this.#chunks.length - 1 ? CHUNK_REFS_MAX - 16 : CHUNK_REFS_MAX / 2;
    const rest = new Int32Array(CHUNK_REFS_MAX);
    rest.set(chunk.refs.subarray(kept, chunk.length));
    this.#chunks.splice(c + 1, 0, { refs: rest, length: chunk.length - kept });
    chunk.length = kept;
  }
}

/** The index of the first reference in a chunk that does not come before the position. */
function indexIn({ refs, length }: Chunk, position: Position): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (position(refs[middle]!) >= 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
