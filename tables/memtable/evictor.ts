/**
 * Evicts from a memtable that takes more memory than it may, a bounded step at a time. The slabs are visited in a
 * circle, and what was not read since the last visit goes (the CLOCK algorithm). Of a table with a log the value
 * goes, and its record stays, cold: the log has the value. Without a log, the entry goes.
 *
 * @module
 */

import type { Contents } from "./contents.ts";
import { SlabWalk } from "./slab_walk.ts";

/** What eviction takes: values, which a log has, or whole entries. */
export type Evicted = "values" | "entries";

/** Visits slabs, one after the other. */
export class Evictor {
  readonly #evicts: Evicted;
  readonly #walk = new SlabWalk();
  /** How many entries it has removed. */
  evictedKeys = 0;

  /** Takes this where it finds something. */
  constructor(evicts: Evicted) {
    this.#evicts = evicts;
  }

  /** Does a step; true if there is more to do. A hurried one spares nothing. Throws MemoryFullError. */
  step(contents: Contents, hotBytesMax: number, { isHurried = false } = {}): boolean {
    const { arena } = contents;
    if (arena.hotBytes <= hotBytesMax) return false;
    if (this.#walk.isOver(arena)) {
      const number = arena.slabs.nextHot(this.#walk.number);
      if (number === undefined) return false;
      this.#walk.begin(arena, number);
    }
    this.#walk.step(arena, (ref) => {
      if (arena.isRecent(ref) && !isHurried) {
        arena.setRecent(ref, false);
        return 0;
      }
      const bytes = arena.valueLength(ref);
      if (this.#evicts === "values") {
        contents.move(ref, { isCold: true });
      } else {
        contents.remove(ref);
        this.evictedKeys++;
      }
      return bytes;
    });
    return true;
  }
}
