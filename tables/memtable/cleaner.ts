/**
 * Closes the gaps that freed records leave in a memtable, a bounded step at a time: what is left in a slab
 * with large gaps moves to the newest one, and the slab is released.
 *
 * @module
 */

import type { Contents } from "./contents.ts";
import { SlabWalk } from "./slab_walk.ts";

/** How large all gaps together may be. */
export interface GapsLimit {
  /** This share of the slabs. */
  readonly share: number;
  /** So many bytes in any case. */
  readonly bytes: number;
}

/** Empties slabs, one after the other. */
export class Cleaner {
  readonly #walk = new SlabWalk();

  /** Does a step where gaps take more than they may; true if there is more to do. Throws MemoryFullError. */
  step(contents: Contents, { share, bytes }: GapsLimit): boolean {
    const { arena } = contents;
    const { slabs } = arena;
    if (this.#walk.isOver(arena)) {
      if (slabs.gapBytes <= Math.max(bytes, share * slabs.bytes)) return false;
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
