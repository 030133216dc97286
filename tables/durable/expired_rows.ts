/**
 * How many rows have expired and are not removed yet: a number that is kept, so that COUNT looks at each
 * row that expires once and no more.
 *
 * @module
 */

import { Text } from "../text.ts";
import type { Rows } from "./rows.ts";

const NO_KEY = Text.of("");

/** Expired rows, but for those that a newer change hides. */
export class ExpiredRows {
  readonly #rows: Rows;
  /** Whether a newer change hides the row of a key. */
  readonly isHidden: (key: Text) => boolean;
  /** Rows that expire up to this time are counted, in milliseconds since 1970. */
  #countedUntil = 0;
  #count = 0;

  /** Counts these rows, without those whose key `isHidden`. */
  constructor(rows: Rows, isHidden: (key: Text) => boolean) {
    this.#rows = rows;
    this.isHidden = isHidden;
  }

  /** How many have expired at `now`, in milliseconds since 1970. Throws TableError. */
  countAt(now: number): number {
    if (now < this.#countedUntil) this.reset(); // The clock was set back.
    if (now > this.#countedUntil) {
      // Times are whole milliseconds: the next one after this is the first that is not counted.
      const after = { expiresAt: Math.floor(this.#countedUntil) + 1, key: NO_KEY };
      for (const { key } of this.#rows.expiring({ after, until: now })) {
        if (!this.isHidden(key)) this.#count++;
      }
      this.#countedUntil = now;
    }
    return this.#count;
  }

  /** Takes note of a row that is there from now on, or is hidden or gone, and of when it expires. */
  note(expiresAt: number, by: 1 | -1): void {
    if (expiresAt !== 0 && expiresAt <= this.#countedUntil) this.#count += by;
  }

  /** Counts anew when it is asked next. */
  reset(): void {
    this.#countedUntil = 0;
    this.#count = 0;
  }

  /** Takes note that no row is left. */
  clear(): void {
    this.#count = 0;
  }
}
