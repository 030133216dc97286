/**
 * Closes the gaps that freed records leave in a memtable, a bounded step at a time: what is left in a slab
 * with large gaps moves to the newest one, and the slab is released.
 *
 * @module
 */

import { NO_REF } from "./arena.ts";
import type { Contents } from "./contents.ts";
import type { Slab } from "./slab.ts";

/** How large all gaps together may be: this share of the slabs, and this many bytes in any case. */
const GAPS_SHARE_MAX = 0.2;
/** The share where few slabs are left for new records. */
const GAPS_SHARE_TIGHT_MAX = 0.05;
const GAPS_BYTES_MIN = 4_194_304;
/** How many bytes of records a step looks at. */
const STEP_BYTES = 131_072;

/** Empties slabs, one after the other. */
export class Cleaner {
  /** The slab that is being emptied, its number, and the next record to look at. */
  #slab: Slab | undefined;
  #number = 0;
  #ref = NO_REF;

  /** Does a step; true if there is more to do. Throws MemoryFullError. */
  step(contents: Contents): boolean {
    const { arena } = contents;
    // The slab may have been released since, and its number reused.
    const isThere = this.#slab !== undefined && arena.slabAt(this.#number) === this.#slab;
    if (!isThere) {
      const share = arena.isTight ? GAPS_SHARE_TIGHT_MAX : GAPS_SHARE_MAX;
      if (arena.gapBytes <= Math.max(GAPS_BYTES_MIN, share * arena.slabBytes)) return false;
      const number = arena.emptiest();
      if (number === undefined) return false;
      [this.#number, this.#slab, this.#ref] = [number, arena.slabAt(number), NO_REF];
    }
    this.#empty(contents);
    return true;
  }

  #empty(contents: Contents): void {
    const { arena } = contents;
    const number = this.#number;
    let ref = this.#ref === NO_REF ? arena.recordAfter({ number, ref: NO_REF }) : this.#ref;
    for (let bytes = 0; ref !== NO_REF && bytes < STEP_BYTES;) {
      const next = arena.recordAfter({ number, ref });
      bytes += arena.capacity(ref);
      if (!arena.isFreed(ref)) contents.move(ref);
      // Freeing its last live record releases the slab.
      ref = arena.slabAt(number) === this.#slab ? next : NO_REF;
    }
    this.#ref = ref;
    if (ref === NO_REF) this.#slab = undefined;
  }
}
