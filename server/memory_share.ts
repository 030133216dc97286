/**
 * What the table may take of the memory of the process. The bound is on the process: what its engine, its clients and
 * the gaps between pieces of memory take is measured, and the table gets the rest.
 *
 * @module
 */

/** How often to measure, in milliseconds. */
const LOOK_MS = 100;
/** The least for a table, in bytes, whatever the process takes. */
const TABLE_BYTES_MIN = 33_554_432;
/** A process has given memory back where it holds less than before by this share of the bound. */
const GIVEN_BACK_SHARE = 1 / 16;

/** The memory of a table, as it is counted. */
export interface Counted {
  /** What the table holds, in bytes. */
  readonly bytes: number;
  /** The most that it may hold, in bytes. */
  bytesMax: number;
}

/** Sets how much a table may hold. */
export class MemoryShare {
  readonly #budget: Counted;
  readonly #bytesMax: number;
  readonly #rss: () => number;
  /** What the process takes beside the table, in bytes. */
  #others: number;
  /** The most that the process has held, and the table, in bytes. */
  #rssMax: number;
  #heldMax: number;

  /** A share of so many bytes; tests measure otherwise. */
  constructor(
    budget: Counted,
    { bytesMax, rss = () => Deno.memoryUsage().rss }: { bytesMax: number; rss?: () => number },
  ) {
    this.#budget = budget;
    this.#bytesMax = bytesMax;
    this.#rss = rss;
    this.#rssMax = rss();
    this.#heldMax = budget.bytes;
    this.#others = this.#rssMax - this.#heldMax;
    this.look();
  }

  /** Measures, and sets what the table may hold. */
  look(): void {
    const rss = this.#rss();
    const held = this.#budget.bytes;
    const hasGivenBack = rss < this.#rssMax - GIVEN_BACK_SHARE * this.#bytesMax;
    this.#rssMax = hasGivenBack ? rss : Math.max(this.#rssMax, rss);
    this.#heldMax = hasGivenBack ? held : Math.max(this.#heldMax, held);
    // What the table has freed may still be held by the process, for the next use: so the difference of the moment is
    // an upper bound alone, and only where the process grows beyond what it ever held do the others take more.
    const least = Math.min(this.#others, rss - held);
    this.#others = Math.max(least, this.#rssMax - this.#heldMax);
    this.#budget.bytesMax = Math.max(TABLE_BYTES_MIN, this.#bytesMax - this.#others);
  }

  /** Looks again and again, while the process has anything else to do. */
  start(): void {
    Deno.unrefTimer(setInterval(() => this.look(), LOOK_MS));
  }
}
