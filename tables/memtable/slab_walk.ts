/**
 * Goes through the records of a slab, a bounded step at a time, while they are freed or moved away.
 *
 * @module
 */

import { type Arena, NO_REF } from "./arena.ts";
import type { Slab } from "./slab.ts";

/** How many bytes of records a step looks at. */
export const STEP_BYTES = 131_072;

/** A place in a slab. */
export class SlabWalk {
  #slab: Slab | undefined;
  #number = 0;
  /** The next record to look at; NO_REF for the first one. */
  #ref = NO_REF;

  /** The number of the slab that was begun last; 0 if none was. */
  get number(): number {
    return this.#number;
  }

  /** Whether the slab is done, or gone. Its number may have become that of another one. */
  isOver(arena: Arena): boolean {
    return this.#slab === undefined || arena.slabs.all[this.#number] !== this.#slab;
  }

  /** Begins with the first record of a slab. */
  begin(arena: Arena, number: number): void {
    [this.#number, this.#slab, this.#ref] = [number, arena.slabs.all[number], NO_REF];
  }

  /** Visits the next records that are not freed. A visit returns how many bytes it took beside the record's. */
  step(arena: Arena, visit: (ref: number) => number): void {
    const number = this.#number;
    let ref = this.#ref === NO_REF ? arena.recordAfter({ number, ref: NO_REF }) : this.#ref;
    for (let bytes = 0; ref !== NO_REF && bytes < STEP_BYTES;) {
      this.#ref = ref; // Where a visit throws, the next step goes on here.
      const next = arena.recordAfter({ number, ref });
      bytes += arena.capacity(ref);
      if (!arena.isFreed(ref)) bytes += visit(ref);
      // Freeing its last live record releases the slab.
      ref = this.isOver(arena) ? NO_REF : next;
    }
    this.#ref = ref;
    if (ref === NO_REF) this.#slab = undefined;
  }
}
