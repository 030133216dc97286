/**
 * Finds the record of a key: a hash table of references, in arrays of integers.
 *
 * The table consists of buckets, each of which grows on its own and is split in two when it is large, so that
 * growing never moves more than one bucket (extendible hashing). The first bits of a hash tell the bucket.
 *
 * @module
 */

import { NO_REF } from "./arena.ts";
import { MemoryBudget } from "./memory_budget.ts";
import { MemoryFullError } from "./memory_full.ts";

const BUCKET_SLOTS_MIN = 16;
/** A larger bucket is split: moving it would take too long. Few buckets are faster than many small ones. */
const BUCKET_SLOTS_MAX = 32_768;
/** The most bits that tell the bucket: the others tell the place within it. */
const BUCKET_BITS_MAX = 16;
/** A bucket whose load is higher grows: probing takes long in a full one. */
const LOAD_MAX = 0.8;
/** A bucket whose load is lower shrinks by half. */
const LOAD_MIN = 0.25;
/** The load of buckets that are made for a number of references: low enough that hardly any must grow. */
const LOAD_EXPECTED = 0.75;
/** The share of its slots by which a bucket grows: a larger step would leave more of them free. */
const GROWTH = 0.25;

/**
 * The index of the pair, of a hash and a reference, at which the search for a hash begins. The last bits of
 * the hash are a fraction of the length, which need not be a power of two.
 */
export function firstPair(hash: number, slots: Int32Array): number {
  return (Math.imul(hash & 0xffff, slots.length >>> 1) >>> 16) << 1;
}

/** References by the hash of their key. The caller compares the keys. */
export class HashIndex {
  readonly #budget: MemoryBudget;
  /** By the first bits of a hash. Neighbours may be the same bucket, which has fewer bits in common then. */
  #buckets: Bucket[];
  /** How many bits these are. */
  #bits = 0;
  #size = 0;

  /** An empty index, whose memory comes from this budget. */
  constructor(budget: MemoryBudget = new MemoryBudget()) {
    this.#budget = budget;
    this.#buckets = [new Bucket(budget, 0)];
  }

  /** The number of references. */
  get size(): number {
    return this.#size;
  }

  /**
   * Pairs of a hash and a reference. Those with this hash are found from `firstPair` on, wrapping around at
   * the end, before the next hash of 0.
   */
  slotsFor(hash: number): Int32Array {
    return this.#bucketOf(hash).slots;
  }

  /** The first reference with this hash, most likely the only one; NO_REF if there is none. */
  candidate(hash: number): number {
    const slots = this.slotsFor(hash);
    for (let i = firstPair(hash, slots);;) {
      const other = slots[i]!;
      if (other === hash || other === 0) return slots[i + 1]!;
      i += 2;
      if (i === slots.length) i = 0;
    }
  }

  /**
   * Makes room for so many references, in an empty index: growing step by step takes longer than adding them.
   * Throws MemoryFullError where the system has no memory.
   */
  expect(size: number): void {
    const slots = size / LOAD_EXPECTED;
    while (slots > BUCKET_SLOTS_MAX * 2 ** this.#bits && this.#bits < BUCKET_BITS_MAX) this.#bits++;
    const count = 2 ** this.#bits;
    const [empty] = this.#buckets;
    this.#buckets = Array.from(
      { length: count },
      () => new Bucket(this.#budget, this.#bits, slots / count),
    );
    empty!.free();
  }

  /** Makes room for one more reference with this hash. Throws MemoryFullError, with nothing changed. */
  reserve(hash: number): void {
    let bucket = this.#bucketOf(hash);
    while (bucket.isFull && bucket.bits < BUCKET_BITS_MAX) {
      this.#split(bucket, hash);
      bucket = this.#bucketOf(hash);
    }
    bucket.reserve();
  }

  /** Adds a reference, whose key must not be in the index. Throws MemoryFullError, with nothing changed. */
  add(hash: number, ref: number): void {
    this.reserve(hash);
    this.#bucketOf(hash).add(hash, ref);
    this.#size++;
  }

  /** Replaces a reference by another with the same key. */
  replace(hash: number, { from, to }: { from: number; to: number }): void {
    const bucket = this.#bucketOf(hash);
    bucket.slots[bucket.slotOf(hash, from) + 1] = to;
  }

  /** Removes a reference. */
  remove(hash: number, ref: number): void {
    this.#bucketOf(hash).remove(hash, ref);
    this.#size--;
  }

  /** The memory of all buckets. */
  *buffers(): Generator<ArrayBuffer> {
    let last: Bucket | undefined;
    for (const bucket of this.#buckets) {
      if (bucket !== last) yield bucket.slots.buffer;
      last = bucket;
    }
  }

  #bucketOf(hash: number): Bucket {
    return this.#buckets[firstBits(hash, this.#bits)]!;
  }

  /** Splits the bucket of this hash into two, by one bit more. */
  #split(bucket: Bucket, hash: number): void {
    if (bucket.bits === this.#bits) {
      this.#buckets = this.#buckets.flatMap((bucket) => [bucket, bucket]);
      this.#bits++;
    }
    const halves = bucket.split();
    // The places of the bucket: first those of the half whose next bit is 0.
    const places = 1 << (this.#bits - bucket.bits);
    const first = firstBits(hash, bucket.bits) * places;
    this.#buckets.fill(halves[0], first, first + places / 2);
    this.#buckets.fill(halves[1], first + places / 2, first + places);
    bucket.free();
  }
}

/** The first bits of a hash, so many of them. */
function firstBits(hash: number, bits: number): number {
  return hash >>> 1 >>> (31 - bits);
}

/** One bucket: pairs of a hash and a reference, with open addressing and linear probing. */
class Bucket {
  /** How many of their first bits all hashes of the bucket have in common. */
  readonly bits: number;
  /** Two integers a slot; a hash of 0 marks a free one. */
  slots: Int32Array<ArrayBuffer>;
  readonly #budget: MemoryBudget;
  #size = 0;

  /** An empty bucket with so many slots. Throws MemoryFullError. */
  constructor(budget: MemoryBudget, bits: number, slots = 0) {
    this.bits = bits;
    this.#budget = budget;
    this.slots = this.#freeSlots(Math.ceil(slots));
  }

  /** Whether the next reference would make it larger than a bucket may be. */
  get isFull(): boolean {
    return this.#size >= LOAD_MAX * BUCKET_SLOTS_MAX;
  }

  /** The index in `slots` of the pair that follows. */
  next(index: number): number {
    return index + 2 === this.slots.length ? 0 : index + 2;
  }

  /** The index of the pair of this reference, which must be there. */
  slotOf(hash: number, ref: number): number {
    let i = firstPair(hash, this.slots);
    while (this.slots[i] !== hash || this.slots[i + 1] !== ref) {
      if (this.slots[i] === 0) throw new Error("Cannot find a reference: it is not in the index");
      i = this.next(i);
    }
    return i;
  }

  reserve(): void {
    const count = this.slots.length / 2;
    if (this.#size + 1 <= LOAD_MAX * count) return;
    this.#resize(count + Math.max(BUCKET_SLOTS_MIN, Math.ceil(GROWTH * count)));
  }

  /** Adds a reference, for which there is room. */
  add(hash: number, ref: number): void {
    this.#size++;
    this.#insert(hash, ref);
  }

  remove(hash: number, ref: number): void {
    const { slots } = this;
    this.#size--;
    let gap = this.slotOf(hash, ref);
    // Pairs that the removed one had displaced move back, so that no probe ends too early.
    for (let i = this.next(gap); slots[i] !== 0; i = this.next(i)) {
      const home = firstPair(slots[i]!, slots);
      const isBetween = gap <= i ? gap < home && home <= i : gap < home || home <= i;
      if (isBetween) continue;
      slots[gap] = slots[i]!;
      slots[gap + 1] = slots[i + 1]!;
      gap = i;
    }
    slots[gap] = 0;
    slots[gap + 1] = NO_REF;
    const count = slots.length / 2;
    if (count > BUCKET_SLOTS_MIN && this.#size < LOAD_MIN * count) this.#shrink(count >>> 1);
  }

  /** Two buckets that hold what this one does, by the next bit of the hashes: those with a 0, and a 1. */
  split(): [Bucket, Bucket] {
    const { slots } = this;
    const bits = this.bits + 1;
    let ones = 0;
    for (let i = 0; i < slots.length; i += 2) ones += firstBits(slots[i]!, bits) & 1;
    const budget = this.#budget;
    const slotsFor = (size: number) => (1 + GROWTH) * size / LOAD_MAX;
    const zeros = new Bucket(budget, bits, slotsFor(this.#size - ones));
    let halves: [Bucket, Bucket];
    try {
      halves = [zeros, new Bucket(budget, bits, slotsFor(ones))];
    } catch (error) {
      zeros.free();
      throw error;
    }
    for (let i = 0; i < slots.length; i += 2) {
      if (slots[i] !== 0) halves[firstBits(slots[i]!, bits) & 1]!.add(slots[i]!, slots[i + 1]!);
    }
    return halves;
  }

  /** Frees the memory now: all buckets grow at about the same time. The bucket must not be used any longer. */
  free(): void {
    this.#budget.free(this.slots.buffer);
  }

  #insert(hash: number, ref: number): void {
    let i = firstPair(hash, this.slots);
    while (this.slots[i] !== 0) i = this.next(i);
    this.slots[i] = hash;
    this.slots[i + 1] = ref;
  }

  #shrink(count: number): void {
    try {
      this.#resize(count);
    } catch (error) {
      // Then it stays as large as it is: removing goes on where memory ends.
      if (!(error instanceof MemoryFullError)) throw error;
    }
  }

  #resize(count: number): void {
    const old = this.slots;
    this.slots = this.#freeSlots(count);
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0) this.#insert(old[i]!, old[i + 1]!);
    }
    this.#budget.free(old.buffer); // Now, as in `free`.
  }

  /** So many free slots, or a few more. Throws MemoryFullError. */
  #freeSlots(count: number): Int32Array<ArrayBuffer> {
    return this.#budget.integers(2 * Math.max(BUCKET_SLOTS_MIN, count));
  }
}
