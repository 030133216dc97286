/**
 * Drops values from a memtable whose values take more memory than they may, a bounded step at a time. The
 * slabs are visited in a circle, and a value that was not read since the last visit goes (the CLOCK algorithm).
 * Its record stays, cold: the log has the value.
 *
 * @module
 */

import { NO_REF } from "./arena.ts";
import type { Contents } from "./contents.ts";
import type { Slab } from "./slab.ts";

/** How many bytes of records and values a step looks at. */
const STEP_BYTES = 131_072;

/** Visits slabs, one after the other. */
export class Evictor {
  /** The slab that is being visited, its number, and the next record to look at. */
  #slab: Slab | undefined;
  #number = 0;
  #ref = NO_REF;

  /** Does a step; true if there is more to do. Throws MemoryFullError. */
  step(contents: Contents, hotBytesMax: number): boolean {
    const { arena } = contents;
    if (arena.hotBytes <= hotBytesMax) return false;
    const isThere = this.#slab !== undefined && arena.slabAt(this.#number) === this.#slab;
    if (!isThere) {
      const number = arena.nextHot(this.#number);
      if (number === undefined) return false;
      [this.#number, this.#slab, this.#ref] = [number, arena.slabAt(number), NO_REF];
    }
    this.#visit(contents);
    return true;
  }

  #visit(contents: Contents): void {
    const { arena } = contents;
    const number = this.#number;
    let ref = this.#ref === NO_REF ? arena.recordAfter({ number, ref: NO_REF }) : this.#ref;
    for (let bytes = 0; ref !== NO_REF && bytes < STEP_BYTES;) {
      const next = arena.recordAfter({ number, ref });
      bytes += arena.capacity(ref);
      if (!arena.isFreed(ref)) {
        if (arena.isRecent(ref)) arena.setRecent(ref, false);
        else {
          bytes += arena.evictableBytes(ref);
          contents.move(ref, { isCold: true });
        }
      }
      ref = arena.slabAt(number) === this.#slab ? next : NO_REF;
    }
    this.#ref = ref;
    if (ref === NO_REF) this.#slab = undefined;
  }
}
