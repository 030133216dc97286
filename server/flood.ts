/**
 * Tells the log of what may come in floods. The listener gives it each error of a client that could not
 * be accepted, and says at a steady interval that time has passed.
 *
 * @module
 */

/** Errors that have come: each kind is told when the first of it comes, and counted from then on. */
export class Flood {
  readonly #counts = new Map<string, { total: number; seen: number }>();

  /** Takes note of one, with the words for it. */
  note(text: string): void {
    const count = this.#counts.get(text);
    if (count !== undefined) {
      count.total++;
      return;
    }
    this.#counts.set(text, { total: 1, seen: 0 });
    console.error(text);
  }

  /** Tells how many there were of each kind of which none has come since the last call. */
  sweep(): void {
    for (const [text, count] of this.#counts) {
      if (count.total > count.seen) {
        count.seen = count.total;
        continue;
      }
      if (count.total > 1) console.error(`${text} (${count.total} times)`);
      this.#counts.delete(text);
    }
  }
}
