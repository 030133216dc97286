/**
 * The slabs of an arena: which of them take new records, how much of each is live, and which are released.
 *
 * A reference is one 32-bit integer, made of a slab's number and the place within it, so that an index of a
 * million records is a few megabytes of integers, without an object for each.
 *
 * @module
 */

import { Memory } from "../text.ts";
import { MemoryBudget } from "./memory_budget.ts";
import { MemoryFullError } from "./memory_full.ts";
import { Slab } from "./slab.ts";

/** The bits of an offset that are not in a reference. */
const UNIT_BITS = 3;
/** Records start at a multiple of this, in bytes. */
const UNIT_BYTES = 1 << UNIT_BITS;
/** The last bits of a reference: the place within the slab, in units. The others are the slab's number. */
const PLACE_BITS = 17;
/** Masks them. */
const PLACE_MASK = (1 << PLACE_BITS) - 1;
/** The size of a slab. */
export const SLAB_BYTES: number = UNIT_BYTES << PLACE_BITS;
/** The most slabs: 32 GiB of records, not counting large values. The number 0 is taken. */
const SLABS_MAX = (1 << (32 - PLACE_BITS)) - 1;
/** How many of them only records that move may take: in a full table too, gaps are closed and values go. */
const SLABS_RESERVED = 2;
/** From this share of them on, few are left. */
const TIGHT_SHARE = 7 / 8;

/** Takes the number 0, so that no reference is 0. */
const NO_SLAB = new Slab(new Memory(0), { isCold: false });

/** The reference to what is at an offset, which is a multiple of a unit. */
export function refTo(number: number, offset: number): number {
  return (number << PLACE_BITS) | (offset >>> UNIT_BITS);
}

/** The number of the slab of a reference. */
export function slabOf(ref: number): number {
  return ref >>> PLACE_BITS;
}

/** The offset of a reference in its slab, in bytes. */
export function offsetOf(ref: number): number {
  return (ref & PLACE_MASK) << UNIT_BITS;
}

/** How many units hold so many bytes. */
export function unitsFor(bytes: number): number {
  return (bytes + UNIT_BYTES - 1) >>> UNIT_BITS;
}

/** The bytes of so many units. */
export function bytesOf(units: number): number {
  return units << UNIT_BITS;
}

/** What slabs are made with. */
export interface SlabsOptions {
  /** The most slabs. */
  readonly slabsMax?: number | undefined;
  /** Where their memory comes from. */
  readonly budget?: MemoryBudget | undefined;
}

/** Slabs by number. */
export class Slabs {
  /** The slabs; undefined where a number is free. */
  readonly all: (Slab | undefined)[] = [NO_SLAB];
  readonly #freeNumbers: number[] = [];
  readonly #max: number;
  readonly #budget: MemoryBudget;
  /** The numbers of the slabs that take new records: those with values, and the cold ones. */
  readonly #heads: [hot: number, cold: number] = [0, 0];
  #bytes = 0;
  /** The bytes of records that are not freed: those with values, and the cold ones. */
  #hotBytes = 0;
  #coldBytes = 0;

  /** No slabs yet; tests set the most of them low. */
  constructor({ slabsMax = SLABS_MAX, budget = new MemoryBudget() }: SlabsOptions = {}) {
    this.#max = slabsMax;
    this.#budget = budget;
  }

  /** The memory of all slabs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The part of it that records with values take. */
  get hotBytes(): number {
    return this.#hotBytes;
  }

  /** The part of it that cold records take. */
  get coldBytes(): number {
    return this.#coldBytes;
  }

  /** The part of it that no record uses, and none will. */
  get gapBytes(): number {
    const ahead = this.#heads.reduce(
      (sum, head) => sum + (head && SLAB_BYTES - this.all[head]!.used),
      0,
    );
    return this.#bytes - this.#hotBytes - this.#coldBytes - ahead;
  }

  /** Whether few slabs are left for new records. */
  get isTight(): boolean {
    return this.#bytes >= TIGHT_SHARE * this.#max * SLAB_BYTES;
  }

  /** Lets the head have room for a record. Throws MemoryFullError, with nothing changed. */
  makeRoom(size: number, { isCold, isMoved }: { isCold: boolean; isMoved: boolean }): void {
    const kind = isCold ? 1 : 0;
    const head = this.#heads[kind];
    if (head !== 0 && SLAB_BYTES - this.all[head]!.used >= size) return;
    const slabsMax = isMoved ? this.#max : this.#max - SLABS_RESERVED;
    if (this.#bytes >= slabsMax * SLAB_BYTES) throw new MemoryFullError();
    const slab = new Slab(this.#budget.memory(SLAB_BYTES), { isCold });
    const number = this.#freeNumbers.pop() ?? this.all.length;
    this.all[number] = slab;
    this.#bytes += SLAB_BYTES;
    this.#moveHead(kind, number);
  }

  /** Takes the room for a record, which the head has, and returns the reference. */
  take(size: number, isCold: boolean): number {
    const number = this.#heads[isCold ? 1 : 0];
    const slab = this.all[number]!;
    const offset = slab.used;
    slab.used += size;
    this.#countLive(slab, size);
    return refTo(number, offset);
  }

  /** Frees the room of a record, and its slab if nothing else is left there and it takes no records. */
  free(ref: number, size: number): void {
    const number = slabOf(ref);
    const slab = this.all[number]!;
    this.#countLive(slab, -size);
    if (slab.liveBytes === 0 && !this.#heads.includes(number)) this.#release(number);
  }

  /** The number of the emptiest slab, not counting the heads; undefined if there is none. */
  emptiest(): number | undefined {
    let found: number | undefined;
    let least = SLAB_BYTES;
    for (const [number, slab] of this.all.entries()) {
      if (slab === undefined || slab === NO_SLAB || this.#heads.includes(number)) continue;
      if (slab.liveBytes >= least) continue;
      least = slab.liveBytes;
      found = number;
    }
    return found;
  }

  /** The number of the next slab in a circle that holds values, which may be the head; undefined if none does. */
  nextHot(number: number): number | undefined {
    const count = this.all.length;
    for (let step = 1; step <= count; step++) {
      const candidate = (number + step) % count;
      const slab = this.all[candidate];
      if (candidate !== 0 && slab !== undefined && !slab.isCold) return candidate;
    }
    return undefined;
  }

  /** Throws an error where the sums differ from what the slabs say. */
  check(): void {
    let [hot, cold, bytes] = [0, 0, 0];
    for (const slab of this.all) {
      if (slab === undefined || slab === NO_SLAB) continue;
      if (slab.isCold) cold += slab.liveBytes;
      else hot += slab.liveBytes;
      bytes += SLAB_BYTES;
    }
    if (hot !== this.#hotBytes || cold !== this.#coldBytes || bytes !== this.#bytes) {
      throw new Error("The sums differ from the slabs");
    }
  }

  /** The memory of all slabs. */
  *memories(): Generator<Memory> {
    for (const slab of this.all) if (slab !== undefined && slab !== NO_SLAB) yield slab.memory;
  }

  #countLive(slab: Slab, bytes: number): void {
    slab.liveBytes += bytes;
    if (slab.isCold) this.#coldBytes += bytes;
    else this.#hotBytes += bytes;
  }

  #moveHead(kind: 0 | 1, number: number): void {
    const old = this.#heads[kind];
    this.#heads[kind] = number;
    if (old !== 0 && this.all[old]!.liveBytes === 0) this.#release(old);
  }

  #release(number: number): void {
    const { memory } = this.all[number]!;
    this.#bytes -= SLAB_BYTES;
    this.#budget.free(memory);
    this.all[number] = undefined;
    this.#freeNumbers.push(number);
  }
}
