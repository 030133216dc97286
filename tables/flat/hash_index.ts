/**
 * Where each key's record is: a hash table of references, in arrays of integers.
 *
 * The hash is ours and seeded, so that no client can know which keys collide. The table is in parts, by
 * the first bits of the hash, and each part grows alone: no growth moves more than a small fraction.
 *
 * @module
 */

import type { Text } from "../text.ts";
import { NO_REF } from "./record.ts";

/** How many parts there are; each takes the keys whose hash has these first bits. */
const PART_BITS = 8;
const PART_SHIFT = 32 - PART_BITS;
const PART_SLOTS_MIN = 16;
/** What an empty part has. */
const NO_SLOTS = new Int32Array(2);
/** A part with a larger share of its slots taken grows: probing gets long in a full one. */
const LOAD_MAX = 0.8;
/** A part with a smaller share of them taken shrinks by half. */
const LOAD_MIN = 0.25;
/** By which share of its slots it grows: a larger step would leave more of them free. */
const GROWTH = 0.25;
/** The bits of a hash that say where in a part to look: those after the ones that pick the part. */
const PLACE_MASK = (1 << PART_SHIFT) - 1;

// Random, so that nobody can foresee collisions; large and odd, so that the product mixes well.
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
  hash = Math.imul(hash, 0x2c1b3c6d); // The last round reaches the first bits, which pick the part.
  hash ^= hash >>> 13;
  return hash === 0 ? 1 : hash;
}

/**
 * Where among pairs of a hash and a reference to look first for a hash. The bits after those that pick the part
 * are taken for a fraction of the length, which need not be a power of two.
 */
export function firstPair(hash: number, slots: Int32Array): number {
  const count = slots.length >>> 1;
  if (count <= 1 << 16) return (Math.imul((hash >>> 8) & 0xffff, count) >>> 16) << 1;
  return ((((hash & PLACE_MASK) * count) / (PLACE_MASK + 1)) | 0) << 1;
}

/** References by the hashes of their keys; the caller compares the keys. */
export class HashIndex {
  /** Made when they are needed: CLEAR makes a new index, and may come a thousand times a second. */
  readonly #parts: (Part | undefined)[] = new Array(1 << PART_BITS).fill(undefined);
  #size = 0;
  #bytes = 0;

  /** How many references there are. */
  get size(): number {
    return this.#size;
  }

  /** How much memory the index takes, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * The pairs of a hash and a reference among which those with this hash are: from `firstPair` on, around the
   * end, up to a hash of 0.
   */
  slotsFor(hash: number): Int32Array {
    const part = this.#parts[hash >>> PART_SHIFT];
    return part === undefined ? NO_SLOTS : part.slots;
  }

  /** Adds a reference, whose key is not there. */
  add(hash: number, ref: number): void {
    const part = this.#partOf(hash);
    const before = part.slots.byteLength;
    part.add(hash, ref);
    this.#size++;
    this.#bytes += part.slots.byteLength - before;
  }

  /** Puts a reference in the place of another that has the same key. */
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

/** One part: pairs of a hash and a reference, by open addressing with linear probing. */
class Part {
  /** Two integers for each slot; a hash of 0 marks a free one. */
  slots = new Int32Array(2 * PART_SLOTS_MIN);
  #size = 0;

  /** The index in `slots` of the pair to look at after this one. */
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
    // Pairs that were pushed on by the one that goes move back, so that no probe ends too early.
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
    old.buffer.transfer(0); // Frees it now: all parts grow at about the same time.
  }
}
