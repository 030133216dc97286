/**
 * Finds the record of a key: a hash table of references, in arrays of integers.
 *
 * The hash is seeded, so that no client can know which keys collide. The first bits of a hash pick one of the
 * table's parts, each of which grows on its own, so that growing never moves more than a small fraction.
 *
 * @module
 */

import type { Text } from "../text.ts";
import { NO_REF } from "./record.ts";

/** How many bits of a hash pick the part. */
const PART_BITS = 8;
const PART_SHIFT = 32 - PART_BITS;
const PART_SLOTS_MIN = 16;
/** The slots of a part that is not there. */
const NO_SLOTS = new Int32Array(2);
/** A part whose load is higher grows: probing takes long in a full one. */
const LOAD_MAX = 0.8;
/** A part whose load is lower shrinks by half. */
const LOAD_MIN = 0.25;
/** The share of its slots by which a part grows: a larger step would leave more of them free. */
const GROWTH = 0.25;
/** The bits of a hash that say where in the part to look: those that do not pick it. */
const PLACE_MASK = (1 << PART_SHIFT) - 1;

// Random, so that nobody can predict collisions; large and odd, so that the product mixes well.
const [SEED, random] = crypto.getRandomValues(new Int32Array(2)) as unknown as [number, number];
const MULTIPLIER = random | 0x40000001;

/** The hash of a key: never 0. */
export function hashOf({ memory: { view, bytes }, start, end }: Text): number {
  let hash = SEED ^ (end - start);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ view.getInt32(i, true), MULTIPLIER);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) {
    hash = Math.imul(hash ^ bytes[i]!, MULTIPLIER);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, 0x2c1b3c6d); // One more round for the first bits, which pick the part.
  hash ^= hash >>> 13;
  return hash === 0 ? 1 : hash;
}

/**
 * The index of the pair, of a hash and a reference, at which the search for a hash begins. The bits after
 * those that pick the part are a fraction of the length, which need not be a power of two.
 */
export function firstPair(hash: number, slots: Int32Array): number {
  const count = slots.length >>> 1;
  if (count <= 1 << 16) return (Math.imul((hash >>> 8) & 0xffff, count) >>> 16) << 1;
  return ((((hash & PLACE_MASK) * count) / (PLACE_MASK + 1)) | 0) << 1;
}

/** References by the hash of their key. The caller compares the keys. */
export class HashIndex {
  /** Made on demand: CLEAR makes a new index, and may come a thousand times a second. */
  readonly #parts: (Part | undefined)[] = new Array(1 << PART_BITS).fill(undefined);
  #size = 0;
  #bytes = 0;

  /** The number of references. */
  get size(): number {
    return this.#size;
  }

  /** The memory that the index takes, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Pairs of a hash and a reference. Those with this hash are found from `firstPair` on, wrapping around at
   * the end, before the next hash of 0.
   */
  slotsFor(hash: number): Int32Array {
    const part = this.#parts[hash >>> PART_SHIFT];
    return part === undefined ? NO_SLOTS : part.slots;
  }

  /** Adds a reference, whose key must not be in the index. */
  add(hash: number, ref: number): void {
    const part = this.#partOf(hash);
    const before = part.slots.byteLength;
    part.add(hash, ref);
    this.#size++;
    this.#bytes += part.slots.byteLength - before;
  }

  /** Replaces a reference by another with the same key. */
  replace(hash: number, { from, to }: { from: number; to: number }): void {
    const part = this.#partOf(hash);
    part.slots[part.slotOf(hash, from) + 1] = to;
  }

  /** Removes a reference. */
  remove(hash: number, ref: number): void {
    const part = this.#partOf(hash);
    const before = part.slots.byteLength;
    part.remove(hash, ref);
    this.#size--;
    this.#bytes += part.slots.byteLength - before;
  }

  #partOf(hash: number): Part {
    const number = hash >>> PART_SHIFT;
    const part = this.#parts[number];
    if (part !== undefined) return part;
    const made = new Part();
    this.#bytes += made.slots.byteLength;
    return this.#parts[number] = made;
  }
}

/** One part: pairs of a hash and a reference, with open addressing and linear probing. */
class Part {
  /** Two integers a slot; a hash of 0 marks a free one. */
  slots = new Int32Array(2 * PART_SLOTS_MIN);
  #size = 0;

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

  add(hash: number, ref: number): void {
    const count = this.slots.length / 2;
    if (++this.#size > LOAD_MAX * count) {
      this.#resize(count + Math.max(PART_SLOTS_MIN, Math.ceil(GROWTH * count)));
    }
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
    if (count > PART_SLOTS_MIN && this.#size < LOAD_MIN * count) this.#resize(count >>> 1);
  }

  #insert(hash: number, ref: number): void {
    let i = firstPair(hash, this.slots);
    while (this.slots[i] !== 0) i = this.next(i);
    this.slots[i] = hash;
    this.slots[i + 1] = ref;
  }

  #resize(count: number): void {
    const old = this.slots;
    this.slots = new Int32Array(2 * Math.max(PART_SLOTS_MIN, count));
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0) this.#insert(old[i]!, old[i + 1]!);
    }
    old.buffer.transfer(0); // Frees the memory now: all parts grow at about the same time.
  }
}
