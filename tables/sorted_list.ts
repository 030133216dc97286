/**
 * A list that stays sorted, for `memory_table.ts`: the order of keys, and the order in which they end.
 *
 * @module
 */

/** How many items a chunk holds before it is split: few enough that an insertion moves little. */
const CHUNK_ITEMS_MAX = 512;

/**
 * Distinct items in order, in chunks. Adding and removing cost a binary search and the move of a part
 * of one chunk; counting costs a step for each chunk.
 *
 * @example
 * ```ts
 * import { SortedList } from "./sorted_list.ts";
 *
 * const list = new SortedList<number>((a, b) => a - b);
 * [3, 1, 2].forEach((n) => list.add(n));
 * console.log([...list.from(2)]); // [2, 3]
 * console.log(list.countBefore(3)); // 2
 * ```
 */
export class SortedList<Item> {
  readonly #compare: (a: Item, b: Item) => number;
  #chunks: Item[][] = [];

  /** An empty list; `compare` is negative where `a` comes before `b`, and 0 only for equal items. */
  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare;
  }

  /** Adds an item that is not in the list. */
  add(item: Item): void {
    const c = Math.min(this.#chunkOf(item), this.#chunks.length - 1);
    const chunk = this.#chunks[c];
    if (chunk === undefined) {
      this.#chunks.push([item]);
      return;
    }
    chunk.splice(this.#indexIn(chunk, item), 0, item);
    if (chunk.length > CHUNK_ITEMS_MAX) {
      this.#chunks.splice(c + 1, 0, chunk.splice(CHUNK_ITEMS_MAX / 2));
    }
  }

  /** Removes an item, if it is in the list. */
  delete(item: Item): void {
    const c = this.#chunkOf(item);
    const chunk = this.#chunks[c];
    if (chunk === undefined) return;
    const i = this.#indexIn(chunk, item);
    if (this.#compare(chunk[i]!, item) !== 0) return;
    chunk.splice(i, 1);
    if (chunk.length === 0) this.#chunks.splice(c, 1);
  }

  /** How many items come before this one, which need not be in the list. */
  countBefore(item: Item): number {
    const c = this.#chunkOf(item);
    let count = 0;
    for (let i = 0; i < c; i++) count += this.#chunks[i]!.length;
    const chunk = this.#chunks[c];
    return chunk === undefined ? count : count + this.#indexIn(chunk, item);
  }

  /** The items in order, from this one on, which need not be in the list. */
  *from(item: Item): Generator<Item> {
    const first = this.#chunkOf(item);
    for (let c = first; c < this.#chunks.length; c++) {
      const chunk = this.#chunks[c]!;
      for (let i = c === first ? this.#indexIn(chunk, item) : 0; i < chunk.length; i++) {
        yield chunk[i]!;
      }
    }
  }

  /** The first chunk whose last item does not come before this one. */
  #chunkOf(item: Item): number {
    return firstIndex(
      this.#chunks.length,
      (c) => this.#compare(this.#chunks[c]!.at(-1)!, item) >= 0,
    );
  }

  #indexIn(chunk: Item[], item: Item): number {
    return firstIndex(chunk.length, (i) => this.#compare(chunk[i]!, item) >= 0);
  }
}

/** The first of `length` indices for which `holds`, which holds for all behind it; or `length`. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
