/**
 * Reclaims a memtable's memory: frees what CLEAR has removed, closes gaps, and evicts. Between turns it keeps up
 * with what was added.
 *
 * @module
 */

import { Cleaner, type GapsLimit } from "./cleaner.ts";
import type { Contents } from "./contents.ts";
import { Discards } from "./discards.ts";
import { type Evicted, Evictor } from "./evictor.ts";
import type { MemoryBudget } from "./memory_budget.ts";
import { MemoryFullError } from "./memory_full.ts";
import { SLAB_BYTES } from "./slabs.ts";
import { STEP_BYTES } from "./slab_walk.ts";

/** How many bytes of records to look at for a byte that is added, so that memory is reclaimed as fast as it is taken. */
const RECLAIMED_SHARE = 2;
/** The same where memory ends: most of what is looked at may have to stay. */
const TIGHT_RECLAIMED_SHARE = 8;
/** The most at a time: what a start has added without a pause is not reclaimed in one. */
const RECLAIMED_BYTES_MAX = 33_554_432;
/** How much room eviction leaves for the next turn: this share of the bound, or so many bytes. */
const HEADROOM_SHARE = 1 / 16;
const HEADROOM_BYTES_MAX = 16_777_216;
/** How large gaps may be: usually, where memory gets short, and where it has ended, in bytes. */
const GAPS = {
  usual: { share: 0.2, bytes: 4_194_304 },
  short: { share: 0.05, bytes: 4_194_304 },
  full: { share: 1 / 64, bytes: SLAB_BYTES },
} as const;
/** From this share of the bound on, memory is short. */
const TIGHT_SHARE = 7 / 8;
/** How many steps of eviction for one value spare what was read. */
const PATIENT_STEPS_MAX = 64;

/** What a reclaimer works with. */
export interface ReclaimerOptions {
  /** What the memtable holds, and may hold. */
  readonly budget: MemoryBudget;
  /** What eviction takes where memory ends; undefined for nothing. */
  readonly evicts: Evicted | undefined;
}

/** Reclaims the memory of one memtable. */
export class Reclaimer {
  readonly #budget: MemoryBudget;
  readonly #evicts: Evicted | undefined;
  readonly #cleaner = new Cleaner();
  readonly #evictor: Evictor;
  readonly #discards: Discards;

  /** Reclaims nothing by itself. */
  constructor({ budget, evicts }: ReclaimerOptions) {
    this.#budget = budget;
    this.#evicts = evicts;
    this.#evictor = new Evictor(evicts ?? "values");
    this.#discards = new Discards(budget);
  }

  /** How many records eviction has removed. */
  get evictedKeys(): number {
    return this.#evictor.evictedKeys;
  }

  /** Frees some of the contents that nobody needs; false if there are none. */
  freeSome(): boolean {
    return this.#discards.step();
  }

  /** Whether there are none. */
  get isDone(): boolean {
    return this.#discards.isEmpty;
  }

  /** Takes contents that nobody needs any longer. */
  discard(contents: Contents): void {
    this.#discards.add(contents);
  }

  /**
   * Does a step, or as many as keep up with what was added since this was called last; not within a turn. True if
   * there is more to do.
   */
  step(contents: Contents, hotBytesMax: number): boolean {
    const { arena } = contents;
    const share = this.#isShort ? TIGHT_RECLAIMED_SHARE : RECLAIMED_SHARE;
    let bytes = Math.min(share * arena.addedBytes, RECLAIMED_BYTES_MAX);
    arena.addedBytes = 0;
    try {
      do {
        const hasMore = this.#discards.step() ||
          this.#cleaner.step(contents, this.#gapsLimit(contents)) ||
          this.#evictor.step(contents, Math.min(hotBytesMax, this.#hotBytesMax(contents)));
        if (!hasMore) return false;
      } while ((bytes -= STEP_BYTES) > 0);
      return true;
    } catch (error) {
      // There is no slab to move records to; removing entries will make room.
      if (error instanceof MemoryFullError) return false;
      throw error;
    }
  }

  /** Frees what CLEAR has removed, until there is room for so many bytes; false if that is not enough. */
  freeDiscards(bytes: number): boolean {
    while (this.#budget.room < bytes) if (!this.#discards.step()) return false;
    return true;
  }

  /** Evicts until there is room for so many bytes; not within a turn. False if that is not enough. */
  evict(contents: Contents, bytes: number): boolean {
    for (let step = 0; this.#budget.room < bytes; step++) {
      // After many steps, what was read is spared no longer: nobody should wait until all has been visited.
      const isHurried = step > PATIENT_STEPS_MAX;
      const hasMore = this.#cleaner.step(contents, this.#gapsLimit(contents)) ||
        this.#evictor.step(contents, 0, { isHurried });
      if (!hasMore) return false;
    }
    return true;
  }

  get #isShort(): boolean {
    const { usedBytes, bytesMax } = this.#budget;
    return usedBytes > TIGHT_SHARE * bytesMax;
  }

  /** How large all gaps may be. Where nothing is left to evict, they are all the room that DELETE has made. */
  #gapsLimit({ arena }: Contents): GapsLimit {
    const { room, bytesMax } = this.#budget;
    const evictable = this.#evicts === undefined ? 0 : arena.hotBytes;
    if (room + evictable < headroom(bytesMax)) return GAPS.full;
    return this.#isShort || arena.slabs.isTight ? GAPS.short : GAPS.usual;
  }

  /** What values and their records may take, so that there is room for the next turn beside all the rest. */
  #hotBytesMax({ arena }: Contents): number {
    if (this.#evicts === undefined) return Infinity;
    const { bytesMax, room } = this.#budget;
    return Math.max(0, arena.hotBytes + room - headroom(bytesMax));
  }
}

function headroom(bytesMax: number): number {
  return Math.min(HEADROOM_BYTES_MAX, HEADROOM_SHARE * bytesMax);
}
