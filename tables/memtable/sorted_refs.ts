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

/** An order of records, by a sort key that each of them has. */
export interface Order<SortKey> {
  /** The sort key of a record, which no other record has. It may be a view of the record. */
  sortKeyOf(ref: number): SortKey;
  /** The same sort key, but not a view. */
  copyOf(sortKey: SortKey): SortKey;
  /** Compares two sort keys: negative if `a` comes first, 0 if they are the same. */
  compare(a: SortKey, b: SortKey): number;
}

/**
 * References in leaves. Adding and removing take a binary search for the leaf; counting takes a step for each
 * leaf. What is added to a leaf is sorted once, by its next reader.
 */
export class SortedRefs<SortKey> {
  readonly #order: Order<SortKey>;
  readonly #budget: MemoryBudget;
  readonly #leaves: Leaf<SortKey>[] = [];
  /** What comes before this sort key is in an earlier leaf, and nothing else is. */
  readonly #starts: SortKey[] = [];

  /** Creates an empty list, whose memory comes from this budget. */
  constructor(order: Order<SortKey>, budget: MemoryBudget = new MemoryBudget()) {
    this.#order = order;
    this.#budget = budget;
  }

  /** Adds a reference. While it is in the list, its sort key must not change. */
  add(ref: number): void {
    const sortKey = this.#order.sortKeyOf(ref);
    if (this.#leaves.length === 0) this.#insert(0, this.#newLeaf(), sortKey);
    let index = this.#leafAt(sortKey);
    if (this.#leaves[index]!.isFull) {
      this.#split(index, sortKey);
      if (this.#order.compare(this.#starts[index + 1]!, sortKey) <= 0) index++;
    }
    this.#leaves[index]!.add(ref);
  }

  /** Removes a reference, which must be in the list. */
  remove(ref: number): void {
    const index = this.#leafAt(this.#order.sortKeyOf(ref));
    if (!this.#leaves[index]?.remove(ref)) {
      throw new Error("Cannot remove a reference: it is not in the list");
    }
    this.#join(index);
    this.#join(index - 1);
  }

  /** Replaces a reference by another one with the same sort key. */
  replace(from: number, to: number): void {
    if (!this.#leaves[this.#leafAt(this.#order.sortKeyOf(from))]?.replace(from, to)) {
      throw new Error("Cannot replace a reference: it is not in the list");
    }
  }

  /** Throws an error where the references are not in order, or not as many as this. */
  check(count: number): void {
    let found = 0;
    let last: SortKey | undefined;
    for (const ref of this.from()) {
      const sortKey = this.#order.sortKeyOf(ref);
      if (last !== undefined && this.#order.compare(last, sortKey) >= 0) {
        throw new Error("References are out of order");
      }
      last = sortKey;
      found++;
    }
    if (found !== count) throw new Error(`There are ${found} references instead of ${count}`);
  }

  /** How many references come before a sort key. */
  countBefore(sortKey: SortKey): number {
    const index = this.#leafAt(sortKey);
    let count = this.#leaves[index]?.countBefore(sortKey) ?? 0;
    for (let i = 0; i < index; i++) count += this.#leaves[i]!.length;
    return count;
  }

  /** The references from a sort key on, or all, in sorted order. */
  *from(sortKey?: SortKey): Generator<number> {
    const first = sortKey === undefined ? 0 : this.#leafAt(sortKey);
    for (let index = first; index < this.#leaves.length; index++) {
      const leaf = this.#leaves[index]!;
      leaf.sort();
      let i = index === first && sortKey !== undefined ? leaf.countBefore(sortKey) : 0;
      for (; i < leaf.length; i++) yield leaf.refs[i]!;
    }
  }

  /** The memory of all leaves. */
  *buffers(): Generator<ArrayBuffer> {
    for (const { refs } of this.#leaves) yield refs.buffer;
  }

  /** The leaf for a sort key: the last one that starts there or before, or else the first. */
  #leafAt(sortKey: SortKey): number {
    const order = this.#order;
    const starts = this.#starts;
    let low = 1;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (order.compare(starts[middle]!, sortKey) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Makes room for a sort key in a full leaf. */
  #split(index: number, sortKey: SortKey): void {
    const leaf = this.#leaves[index]!;
    const isLast = index === this.#leaves.length - 1;
    if (isLast && leaf.endsBefore(sortKey)) {
      // Keys that arrive in sorted order fill each leaf.
      this.#insert(index + 1, this.#newLeaf(), sortKey);
    } else {
      const middle = this.#order.sortKeyOf(leaf.middle());
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

  #newLeaf(): Leaf<SortKey> {
    return new Leaf(this.#order, this.#budget.integers(LEAF_REFS_MAX));
  }

  #insert(index: number, leaf: Leaf<SortKey>, start: SortKey): void {
    this.#leaves.splice(index, 0, leaf);
    this.#starts.splice(index, 0, this.#order.copyOf(start));
  }
}

/** A run of references: some in order, then some in any order. */
class Leaf<SortKey> {
  readonly #order: Order<SortKey>;
  readonly refs: Int32Array<ArrayBuffer>;
  length = 0;
  /** How many of them are in order. */
  #sorted = 0;

  constructor(order: Order<SortKey>, refs: Int32Array<ArrayBuffer>) {
    this.#order = order;
    this.refs = refs;
  }

  get isFull(): boolean {
    return this.length === LEAF_REFS_MAX;
  }

  add(ref: number): void {
    if (this.endsBefore(this.#order.sortKeyOf(ref))) this.#sorted++;
    this.refs[this.length++] = ref;
  }

  /** Whether all references are known to be in order, and to come before this sort key. */
  endsBefore(sortKey: SortKey): boolean {
    const { length } = this;
    if (this.#sorted < length) return false;
    return length === 0 || this.#comesBefore(this.refs[length - 1]!, sortKey);
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
  append(next: Leaf<SortKey>): void {
    if (this.#sorted === this.length) this.#sorted += next.#sorted;
    this.refs.set(next.refs.subarray(0, next.length), this.length);
    this.length += next.length;
  }

  /** How many references come before a sort key. */
  countBefore(sortKey: SortKey): number {
    this.sort();
    return this.#indexAmong(this.length, sortKey);
  }

  /** Puts all references in order. */
  sort(): void {
    const { refs, length } = this;
    if (this.#sorted === length) return;
    const added = this.#inOrder(refs.slice(this.#sorted, length));
    // From the last one on, each takes its place, and those after it move up at once.
    let end = this.#sorted;
    for (let i = added.length - 1; i >= 0; i--) {
      const index = this.#indexAmong(end, this.#order.sortKeyOf(added[i]!));
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
    // At random: if it were known which are looked at, keys could come in an order in which a split moves little.
    for (let i = 0; i < SAMPLE_REFS; i++) sample[i] = refs[Math.floor(Math.random() * length)]!;
    return this.#inOrder(sample)[SAMPLE_REFS >>> 1]!;
  }

  /** Moves the references from this sort key on to an empty leaf. Those in order stay so. */
  splitAt(sortKey: SortKey, rest: Leaf<SortKey>): void {
    const { refs, length } = this;
    const kept = this.#indexAmong(this.#sorted, sortKey);
    rest.refs.set(refs.subarray(kept, this.#sorted));
    rest.length = rest.#sorted = this.#sorted - kept;
    this.length = kept;
    for (let i = this.#sorted; i < length; i++) {
      const ref = refs[i]!;
      const to = this.#comesBefore(ref, sortKey) ? this : rest;
      to.refs[to.length++] = ref;
    }
    this.#sorted = kept;
  }

  #inOrder(refs: Int32Array): Int32Array {
    const order = this.#order;
    return refs.sort((a, b) => order.compare(order.sortKeyOf(a), order.sortKeyOf(b)));
  }

  #comesBefore(ref: number, sortKey: SortKey): boolean {
    return this.#order.compare(this.#order.sortKeyOf(ref), sortKey) < 0;
  }

  /** The index of the first of so many references in order that does not come before the sort key. */
  #indexAmong(length: number, sortKey: SortKey): number {
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#comesBefore(this.refs[middle]!, sortKey)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
