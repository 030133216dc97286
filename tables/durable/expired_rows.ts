/**
 * Counts the rows that have expired and are not removed yet. The count is kept, so that COUNT looks at each
 * row only once after it has expired.
 *
 * @module
 */

import { Text } from "../text.ts";
import type { Rows } from "./rows.ts";

const NO_KEY = Text.of("");

/** The number of expired rows, without those that a newer change hides. */
export class ExpiredRows {
  readonly #rows: Rows;
  /** Returns whether a newer change hides the row of a key. */
  readonly isHidden: (key: Text) => boolean;
  /** The rows that expire up to this time have been counted, in milliseconds since 1970. */
  #countedUntil = 0;
  #count = 0;

  /** Counts these rows, except those whose key `isHidden`. */
  constructor(rows: Rows, isHidden: (key: Text) => boolean) {
    this.#rows = rows;
    this.isHidden = isHidden;
  }

  /** The number at `now`, in milliseconds since 1970. Throws TableError. */
  countAt(now: number): number {
    if (now < this.#countedUntil) this.reset(); // The clock was set back.
    if (now > this.#countedUntil) {
      // Whatever expires before the next whole millisecond has been counted.
      const after = { expiresAt: Math.floor(this.#countedUntil) + 1, key: NO_KEY };
      for (const { key } of this.#rows.expiring({ after, until: now })) {
        if (!this.isHidden(key)) this.#count++;
      }
      this.#countedUntil = now;
    }
    return this.#count;
  }

  /** Notes that a row with this expiry was added or is no longer hidden (1), or is hidden or removed (-1). */
  note(expiresAt: number, by: 1 | -1): void {
    if (expiresAt !== 0 && expiresAt <= this.#countedUntil) this.#count += by;
  }

  /** Makes the next `countAt` count from the start. */
  reset(): void {
    this.#countedUntil = 0;
    this.#count = 0;
  }

  /** Notes that there are no rows left. */
  clear(): void {
    this.#count = 0;
  }
}
