/**
 * Closes the gaps that freed records leave in a memtable, a bounded step at a time: what is left in a slab
 * with large gaps moves to the newest one, and the slab is released.
 *
 * @module
 */

import type { Contents } from "./contents.ts";
import { SlabWalk } from "./slab_walk.ts";

/** How large all gaps together may be: this share of the slabs, and this many bytes in any case. */
const GAPS_SHARE_MAX = 0.2;
/** The share where few slabs are left for new records. */
const GAPS_SHARE_TIGHT_MAX = 0.05;
const GAPS_BYTES_MIN = 4_194_304;

/** Empties slabs, one after the other. */
export class Cleaner {
  readonly #walk = new SlabWalk();

  /** Does a step; true if there is more to do. Throws MemoryFullError. */
  step(contents: Contents): boolean {
    const { arena } = contents;
    const { slabs } = arena;
    if (this.#walk.isOver(arena)) {
      const share = slabs.isTight ? GAPS_SHARE_TIGHT_MAX : GAPS_SHARE_MAX;
      if (slabs.gapBytes <= Math.max(GAPS_BYTES_MIN, share * slabs.bytes)) return false;
      const number = slabs.emptiest();
      if (number === undefined) return false;
      this.#walk.begin(arena, number);
    }
    this.#walk.step(arena, (ref) => {
      contents.move(ref);
      return 0;
    });
    return true;
  }
}
