/**
 * References to records in sorted order, such as by key or by expiry.
 *
 * References are in leaves, as in a B+ tree of two levels. The order between leaves is always exact; within a
 * leaf it is made when someone reads the leaf. So a reference is added without looking at other records, which
 * would have to be fetched from memory one after the other, and a reader sorts no more than the leaves that it
 * reads, however much was added.
 *
 * @module
 */

import { MemoryBudget } from "./memory_budget.ts";

/** The references of a leaf before it is split: few enough that sorting them takes about a millisecond. */
const LEAF_REFS_MAX = 2_048;
/** Two leaves that hold no more are joined: so little that the next split is far off. */
const JOINED_REFS_MAX = LEAF_REFS_MAX / 4;
/** How many references are looked at for one that splits a leaf in about half. */
const SAMPLE_REFS = 15;

/** An order of records: where each of them belongs. */
export interface Order<Place> {
  /** The place of a record, which no other record has. It may be a view of the record. */
  placeOf(ref: number): Place;
  /** The same place, but not a view. */
  copyOf(place: Place): Place;
  /** Compares two places: negative if `a` comes first, 0 if they are the same. */
  compare(a: Place, b: Place): number;
}

/**
 * References in leaves. Adding and removing take a binary search for the leaf; counting takes a step for each
 * leaf. What is added to a leaf is sorted once, by its next reader.
 */
export class SortedRefs<Place> {
  readonly #order: Order<Place>;
  readonly #budget: MemoryBudget;
  readonly #leaves: Leaf<Place>[] = [];
  /** What comes before this place is in an earlier leaf, and nothing else is. */
  readonly #starts: Place[] = [];

  /** Creates an empty list, whose memory comes from this budget. */
  constructor(order: Order<Place>, budget: MemoryBudget = new MemoryBudget()) {
    this.#order = order;
    this.#budget = budget;
  }

  /** Adds a reference. While it is in the list, its place in the order must not change. */
  add(ref: number): void {
    const place = this.#order.placeOf(ref);
    if (this.#leaves.length === 0) this.#insert(0, this.#newLeaf(), place);
    let index = this.#leafAt(place);
    if (this.#leaves[index]!.isFull) {
      this.#split(index, place);
      if (this.#order.compare(this.#starts[index + 1]!, place) <= 0) index++;
    }
    this.#leaves[index]!.add(ref);
  }

  /** Removes a reference, which must be in the list. */
  remove(ref: number): void {
    const index = this.#leafAt(this.#order.placeOf(ref));
    if (!this.#leaves[index]?.remove(ref)) {
      throw new Error("Cannot remove a reference: it is not in the list");
    }
    this.#join(index);
    this.#join(index - 1);
  }

  /** Replaces a reference by another one with the same place. */
  replace(from: number, to: number): void {
    if (!this.#leaves[this.#leafAt(this.#order.placeOf(from))]?.replace(from, to)) {
      throw new Error("Cannot replace a reference: it is not in the list");
    }
  }

  /** Throws an error where the references are not in order, or not as many as this. */
  check(count: number): void {
    let found = 0;
    let last: Place | undefined;
    for (const ref of this.from()) {
      const place = this.#order.placeOf(ref);
      if (last !== undefined && this.#order.compare(last, place) >= 0) {
        throw new Error("References are out of order");
      }
      last = place;
      found++;
    }
    if (found !== count) throw new Error(`There are ${found} references instead of ${count}`);
  }

  /** How many references come before a place. */
  countBefore(place: Place): number {
    const index = this.#leafAt(place);
    let count = this.#leaves[index]?.countBefore(place) ?? 0;
    for (let i = 0; i < index; i++) count += this.#leaves[i]!.length;
    return count;
  }

  /** The references from a place on, or all, in sorted order. */
  *from(place?: Place): Generator<number> {
    const first = place === undefined ? 0 : this.#leafAt(place);
    for (let index = first; index < this.#leaves.length; index++) {
      const leaf = this.#leaves[index]!;
      leaf.sort();
      let i = index === first && place !== undefined ? leaf.countBefore(place) : 0;
      for (; i < leaf.length; i++) yield leaf.refs[i]!;
    }
  }

  /** The memory of all leaves. */
  *buffers(): Generator<ArrayBuffer> {
    for (const { refs } of this.#leaves) yield refs.buffer;
  }

  /** The leaf for a place: the last one that starts there or before, or else the first. */
  #leafAt(place: Place): number {
    const order = this.#order;
    const starts = this.#starts;
    let low = 1;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order.compare(starts[middle]!, place) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Makes room for a place in a full leaf. */
  #split(index: number, place: Place): void {
    const leaf = this.#leaves[index]!;
    const isLast = index === this.#leaves.length - 1;
    if (isLast && leaf.endsBefore(place)) {
      // Keys that arrive in sorted order fill each leaf.
      this.#insert(index + 1, this.#newLeaf(), place);
    } else {
      const middle = this.#order.placeOf(leaf.middle());
      const rest = this.#newLeaf();
      leaf.splitAt(middle, rest);
      this.#insert(index + 1, rest, middle);
    }
  }

  /** Joins a leaf with the next one if one of them is empty, or both together hold little. */
  #join(index: number): void {
    const [leaf, next] = [this.#leaves[index], this.#leaves[index + 1]];
    if (leaf === undefined || next === undefined) return;
    const isOneEmpty = leaf.length === 0 || next.length === 0;
    if (!isOneEmpty && leaf.length + next.length > JOINED_REFS_MAX) return;
    leaf.append(next);
    this.#leaves.splice(index + 1, 1);
    this.#budget.free(next.refs.buffer);
    this.#starts.splice(index + 1, 1);
  }

  #newLeaf(): Leaf<Place> {
    return new Leaf(this.#order, this.#budget.integers(LEAF_REFS_MAX));
  }

  #insert(index: number, leaf: Leaf<Place>, start: Place): void {
    this.#leaves.splice(index, 0, leaf);
    this.#starts.splice(index, 0, this.#order.copyOf(start));
  }
}

/** A run of references: some in order, then some in any order. */
class Leaf<Place> {
  readonly #order: Order<Place>;
  readonly refs: Int32Array<ArrayBuffer>;
  length = 0;
  /** How many of them are in order. */
  #sorted = 0;

  constructor(order: Order<Place>, refs: Int32Array<ArrayBuffer>) {
    this.#order = order;
    this.refs = refs;
  }

  get isFull(): boolean {
    return this.length === LEAF_REFS_MAX;
  }

  add(ref: number): void {
    if (this.endsBefore(this.#order.placeOf(ref))) this.#sorted++;
    this.refs[this.length++] = ref;
  }

  /** Whether all references are known to be in order, and to come before this place. */
  endsBefore(place: Place): boolean {
    const { length } = this;
    if (this.#sorted < length) return false;
    return length === 0 || this.#comesBefore(this.refs[length - 1]!, place);
  }

  /** Removes a reference; false if it is not there. */
  remove(ref: number): boolean {
    const { refs } = this;
    let i = refs.indexOf(ref);
    if (i < 0 || i >= this.length) return false;
    this.length--;
    if (i < this.#sorted) {
      refs.copyWithin(i, i + 1, this.#sorted);
      i = --this.#sorted;
    }
    refs[i] = refs[this.length]!;
    return true;
  }

  /** Replaces a reference; false if it is not there. */
  replace(from: number, to: number): boolean {
    const i = this.refs.indexOf(from);
    if (i < 0 || i >= this.length) return false;
    this.refs[i] = to;
    return true;
  }

  /** Adds the references of a leaf that comes after this one. */
  append(next: Leaf<Place>): void {
    if (this.#sorted === this.length) this.#sorted += next.#sorted;
    this.refs.set(next.refs.subarray(0, next.length), this.length);
    this.length += next.length;
  }

  /** How many references come before a place. */
  countBefore(place: Place): number {
    this.sort();
    return this.#indexAmong(this.length, place);
  }

  /** Puts all references in order. */
  sort(): void {
    const { refs, length } = this;
    if (this.#sorted === length) return;
    const added = this.#inOrder(refs.slice(this.#sorted, length));
    // From the last one on, each takes its place, and those after it move up at once.
    let end = this.#sorted;
    for (let i = added.length - 1; i >= 0; i--) {
      const index = this.#indexAmong(end, this.#order.placeOf(added[i]!));
      refs.copyWithin(index + i + 1, index, end);
      refs[index + i] = added[i]!;
      end = index;
    }
    this.#sorted = length;
  }

  /** The reference in the middle, or about there if they are not in order. */
  middle(): number {
    const { refs, length } = this;
    if (this.#sorted === length) return refs[length >>> 1]!;
    const sample = new Int32Array(SAMPLE_REFS);
    // At random: where the places are known, keys can come in an order that lets each split move next to nothing.
    for (let i = 0; i < SAMPLE_REFS; i++) sample[i] = refs[Math.floor(Math.random() * length)]!;
    return this.#inOrder(sample)[SAMPLE_REFS >>> 1]!;
  }

  /** Moves the references from this place on to an empty leaf. Those in order stay so. */
  splitAt(place: Place, rest: Leaf<Place>): void {
    const { refs, length } = this;
    const kept = this.#indexAmong(this.#sorted, place);
    rest.refs.set(refs.subarray(kept, this.#sorted));
    rest.length = rest.#sorted = this.#sorted - kept;
    this.length = kept;
    for (let i = this.#sorted; i < length; i++) {
      const ref = refs[i]!;
      const to = this.#comesBefore(ref, place) ? this : rest;
      to.refs[to.length++] = ref;
    }
    this.#sorted = kept;
  }

  #inOrder(refs: Int32Array): Int32Array {
    const order = this.#order;
    return refs.sort((a, b) => order.compare(order.placeOf(a), order.placeOf(b)));
  }

  #comesBefore(ref: number, place: Place): boolean {
    return this.#order.compare(this.#order.placeOf(ref), place) < 0;
  }

  /** The index of the first of so many references in order that does not come before the place. */
  #indexAmong(length: number, place: Place): number {
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#comesBefore(this.refs[middle]!, place)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
