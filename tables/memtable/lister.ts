/**
 * Puts in order by key what was loaded without, a bounded step at a time: the slabs that there were then are gone
 * through once. A record that is added or moved meanwhile is listed at once, and passed by here.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import { SlabWalk } from "./slab_walk.ts";

/** Lists what was loaded. */
export class Lister {
  readonly #arena: Arena;
  readonly #list: (ref: number) => void;
  readonly #walk = new SlabWalk();
  readonly #end: number;
  #next = 1;

  /** Lists the records that this arena has now, by calling `list` with each that is not. */
  constructor(arena: Arena, list: (ref: number) => void) {
    this.#arena = arena;
    this.#list = list;
    this.#end = arena.slabs.all.length;
  }

  /** Does a step; true if there is more. */
  step(): boolean {
    const arena = this.#arena;
    while (this.#walk.isOver(arena)) {
      if (this.#next === this.#end) return false;
      if (arena.slabs.all[this.#next] !== undefined) this.#walk.begin(arena, this.#next);
      this.#next++;
    }
    this.#walk.step(arena, (ref) => {
      if (!arena.isListed(ref)) this.#list(ref);
      return 0;
    });
    return true;
  }
}
