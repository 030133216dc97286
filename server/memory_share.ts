/**
 * What the table may take of the process's memory. The bound is on the process: memory taken by Deno, clients
 * and gaps in the heap is measured, and the table gets the rest.
 *
 * @module
 */

/** How often to measure, in milliseconds. */
const LOOK_MS = 100;
/** The least for a table, in bytes, whatever the process takes. */
const TABLE_BYTES_MIN = 33_554_432;
/** A process has given memory back if it holds less than before by at least this share of the bound. */
const GIVEN_BACK_SHARE = 1 / 16;

/** The memory of a table, as its budget counts it. */
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
  /** What the rest of the process takes, in bytes. */
  #others: number;
  /** The most that the process and the table have held, in bytes. */
  #rssMax: number;
  #heldMax: number;

  /** A share of this many bytes; tests replace the measurement. */
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
    // The process may still hold what the table has freed, for reuse. So the current difference is only
    // an upper bound, and the rest of the process has grown only if the process exceeds its peak.
    const least = Math.min(this.#others, rss - held);
    this.#others = Math.max(least, this.#rssMax - this.#heldMax);
    this.#budget.bytesMax = Math.max(TABLE_BYTES_MIN, this.#bytesMax - this.#others);
  }

  /** Measures periodically, without keeping the process alive. */
  start(): void {
    Deno.unrefTimer(setInterval(() => this.look(), LOOK_MS));
  }
}
