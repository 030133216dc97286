/**
 * Drops values from a memtable whose values take more memory than they may, a bounded step at a time. The
 * slabs are visited in a circle, and a value that was not read since the last visit goes (the CLOCK algorithm).
 * Its record stays, cold: the log has the value.
 *
 * @module
 */

import type { Contents } from "./contents.ts";
import { SlabWalk } from "./slab_walk.ts";

/** Visits slabs, one after the other. */
export class Evictor {
  readonly #walk = new SlabWalk();

  /** Does a step; true if there is more to do. Throws MemoryFullError. */
  step(contents: Contents, hotBytesMax: number): boolean {
    const { arena } = contents;
    if (arena.hotBytes <= hotBytesMax) return false;
    if (this.#walk.isOver(arena)) {
      const number = arena.slabs.nextHot(this.#walk.number);
      if (number === undefined) return false;
      this.#walk.begin(arena, number);
    }
    this.#walk.step(arena, (ref) => {
      if (arena.isRecent(ref)) {
        arena.setRecent(ref, false);
        return 0;
      }
      const bytes = arena.valueLength(ref);
      contents.move(ref, { isCold: true });
      return bytes;
    });
    return true;
  }
}
