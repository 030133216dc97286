/**
 * Frees the memory of what CLEAR has removed, a bounded step at a time: to free a large table takes longer than
 * clients should wait. Until then it counts as held.
 *
 * @module
 */

import type { Memory } from "../text.ts";
import type { Contents } from "./contents.ts";
import type { MemoryBudget } from "./memory_budget.ts";

/** How many pieces of memory a step frees. */
const STEP_PIECES = 32;

/** Contents that nobody needs any longer. */
export class Discards {
  readonly #budget: MemoryBudget;
  #pieces: Generator<Memory | ArrayBuffer>[] = [];

  /** Frees memory of this budget. */
  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  /** Whether nothing is left. */
  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Takes contents, which must not be used any longer. */
  add(contents: Contents): void {
    this.#pieces.push(contents.pieces());
  }

  /** Does a step; true if it has freed something. */
  step(): boolean {
    if (this.isEmpty) return false;
    for (let count = 0; count < STEP_PIECES && !this.isEmpty; count++) {
      const next = this.#pieces[0]!.next();
      if (next.done) this.#pieces.shift();
      else this.#budget.free(next.value);
    }
    return true;
  }
}
