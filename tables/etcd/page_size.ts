/**
 * How much to ask the engine for at a time: half as much after each failed attempt, which may have been too
 * much for the link, and gradually more again as whole pages arrive.
 *
 * @module
 */

/** By which share of the largest page the next one grows. */
const GROWTH_SHARE = 1 / 16;

/** The size of the next page, in whatever its user counts. */
export class PageSize {
  readonly #max: number;
  #size: number;
  /** Whether the last attempt failed. */
  #isMissing = false;

  /** Begins with the largest. */
  constructor(max: number) {
    this.#max = this.#size = max;
  }

  /** How much to ask for in the next attempt; at least 1. */
  ask(): number {
    if (this.#isMissing) this.#size = Math.max(1, this.#size >> 1);
    this.#isMissing = true;
    return this.#size;
  }

  /** Notes that a page has arrived: a whole one, or all that there was. */
  came(isWhole: boolean): void {
    this.#isMissing = false;
    if (!isWhole) return;
    this.#size = Math.min(this.#max, this.#size + Math.ceil(GROWTH_SHARE * this.#max));
  }
}
