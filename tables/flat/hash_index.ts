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
const LOAD_MAX = 0.7;

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

/** References by the hashes of their keys; the caller compares the keys. */
export class HashIndex {
  /** Made when they are needed: CLEAR makes a new index, and may come a thousand times a second. */
  readonly #parts: (Part | undefined)[] = new Array(1 << PART_BITS).fill(undefined);
  #size = 0;

  /** How many references there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * The pairs of a hash and a reference among which one with this hash is. The first one to look at is at
   * twice the hash, modulo the length; a hash of 0 ends the search.
   */
  slotsFor(hash: number): Int32Array {
    const part = this.#parts[hash >>> PART_SHIFT];
    return part === undefined ? NO_SLOTS : part.slots;
  }

  /** Adds a reference, whose key is not there. */
  add(hash: number, ref: number): void {
    this.#partOf(hash).add(hash, ref);
    this.#size++;
  }

  /** Puts a reference in the place of another that has the same key. */
  replace(hash: number, { from, to }: { from: number; to: number }): void {
    const part = this.#partOf(hash);
    part.slots[part.slotOf(hash, from) + 1] = to;
  }

  /** Removes a reference. */
  remove(hash: number, ref: number): void {
    this.#partOf(hash).remove(hash, ref);
    this.#size--;
  }

  #partOf(hash: number): Part {
    return this.#parts[hash >>> PART_SHIFT] ??= new Part();
  }
}

/** One part: pairs of a hash and a reference, by open addressing with linear probing. */
class Part {
  /** Two integers for each slot; a hash of 0 marks a free one. */
  slots = new Int32Array(2 * PART_SLOTS_MIN);
  #size = 0;

  /** The index in `slots` of the pair to look at first for this hash. */
  first(hash: number): number {
    return (2 * hash) & (this.slots.length - 1);
  }

  /** The index of the pair to look at next. */
  next(index: number): number {
    return (index + 2) & (this.slots.length - 1);
  }

  /** The index of the pair of this reference, which must be there. */
  slotOf(hash: number, ref: number): number {
    let i = this.first(hash);
    while (this.slots[i] !== hash || this.slots[i + 1] !== ref) {
      if (this.slots[i] === 0) throw new Error("Cannot find a reference: it is not in the index");
      i = this.next(i);
    }
    return i;
  }

  add(hash: number, ref: number): void {
    if (++this.#size > LOAD_MAX * (this.slots.length / 2)) this.#grow();
    this.#insert(hash, ref);
  }

  remove(hash: number, ref: number): void {
    const { slots } = this;
    this.#size--;
    let gap = this.slotOf(hash, ref);
    // Pairs that were pushed on by the one that goes move back, so that no probe ends too early.
    for (let i = this.next(gap); slots[i] !== 0; i = this.next(i)) {
      const home = this.first(slots[i]!);
      const isBetween = gap <= i ? gap < home && home <= i : gap < home || home <= i;
      if (isBetween) continue;
      slots[gap] = slots[i]!;
      slots[gap + 1] = slots[i + 1]!;
      gap = i;
    }
    slots[gap] = 0;
    slots[gap + 1] = NO_REF;
  }

  #insert(hash: number, ref: number): void {
    let i = this.first(hash);
    while (this.slots[i] !== 0) i = this.next(i);
    this.slots[i] = hash;
    this.slots[i + 1] = ref;
  }

  #grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(2 * old.length);
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0) this.#insert(old[i]!, old[i + 1]!);
    }
  }
}
