/**
 * Reclaims the memory of a flat store, a bounded step at a time. A segment with large gaps is emptied: what
 * is left in it moves to the newest one. If a store is over its limit, the segments are visited in a circle,
 * and what was not read since the last visit is evicted (the CLOCK algorithm).
 *
 * @module
 */

import { DIRTY, FLAG, NO_REF } from "./record.ts";
import type { Contents } from "./contents.ts";
import type { Segment } from "./segment.ts";

/** How large all gaps together may be: this share of the memory, and this many bytes in any case. */
const GAPS_SHARE_MAX = 0.2;
const GAPS_BYTES_MIN = 4_194_304;
/** How many bytes of records a step looks at. */
const STEP_BYTES = 131_072;
/** Eviction gives up after this many rounds without success: the first clears RECENT, the second evicts. */
const ROUNDS_IN_VAIN = 2;
/** Only a clean record with a row may be evicted. */
const EVICTABLE = FLAG.IN_ROWS;
const EVICTABLE_MASK = FLAG.IN_ROWS | DIRTY | FLAG.TOMBSTONE | FLAG.RECENT;

/** What a step may do. */
export interface StepOptions {
  /** The memory that the store may take before records are evicted, in bytes. */
  readonly bytesMax: number;
  /** Evicts a record. */
  readonly evict: (ref: number) => void;
  /** Moves a record to the newest segment. */
  readonly move: (ref: number) => void;
}

/** Empties segments, one after the other. */
export class Compactor {
  /** The segment that is being emptied, its number, and the next record to look at. */
  #segment: Segment | undefined;
  #number = 0;
  #ref = NO_REF;
  #isEvicting = false;
  /** The number of the segment that eviction visited last. */
  #lastEvicted = 0;
  /** How many bytes it has visited since it last evicted a record. */
  #passedBytes = 0;
  /** The state of the contents in which eviction found nothing. */
  #stateInVain = "";

  /** Does a step; true if there is more to do. */
  step(contents: Contents, options: StepOptions): boolean {
    // The segment may have been released since, and its number reused.
    const isThere = this.#segment !== undefined &&
      contents.arena.segmentAt(this.#number) === this.#segment;
    if (!isThere && !this.#choose(contents, options.bytesMax)) return false;
    this.#empty(contents, options);
    return true;
  }

  #choose(contents: Contents, bytesMax: number): boolean {
    const { arena } = contents;
    const gaps = arena.bytes - arena.liveBytes;
    let number: number | undefined;
    if (gaps > Math.max(GAPS_BYTES_MIN, GAPS_SHARE_MAX * arena.bytes)) number = arena.emptiest();
    this.#isEvicting = false;
    if (number === undefined && contents.bytes > bytesMax && this.#mayEvict(contents)) {
      number = arena.next(this.#lastEvicted);
      this.#passedBytes += number === undefined ? 0 : arena.segmentAt(number)!.size;
      this.#lastEvicted = number ?? 0;
      this.#isEvicting = true;
    }
    this.#number = number ?? 0;
    this.#segment = number === undefined ? undefined : arena.segmentAt(number);
    this.#ref = NO_REF;
    return number !== undefined;
  }

  /** False if everything is dirty, or was read: then visiting it in a circle would never end. */
  #mayEvict({ arena, dirtyCounts }: Contents): boolean {
    const state = `${arena.liveBytes} ${dirtyCounts}`;
    if (this.#passedBytes > ROUNDS_IN_VAIN * arena.bytes) {
      this.#passedBytes = 0;
      this.#stateInVain = state;
    }
    return state !== this.#stateInVain;
  }

  #empty({ arena }: Contents, { evict, move }: StepOptions): void {
    let ref = this.#ref === NO_REF
      ? arena.recordAfter({ number: this.#number, ref: NO_REF })
      : this.#ref;
    for (let bytes = 0; ref !== NO_REF && bytes < STEP_BYTES;) {
      const next = arena.recordAfter({ number: this.#number, ref });
      const flags = arena.flags(ref);
      bytes += arena.capacity(ref);
      if ((flags & FLAG.FREED) === 0) {
        if (this.#isEvicting && (flags & EVICTABLE_MASK) === EVICTABLE) {
          evict(ref);
          this.#passedBytes = 0;
        } else if (arena.isAlone(ref)) arena.setFlags(ref, flags & ~FLAG.RECENT);
        else move(ref);
      }
      // Freeing its last live record releases the segment.
      ref = arena.segmentAt(this.#number) === this.#segment ? next : NO_REF;
    }
    this.#ref = ref;
    if (ref === NO_REF) this.#segment = undefined;
  }
}
