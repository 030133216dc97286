/**
 * Logs errors that may come in floods. The listener reports each connection that it could not accept, and
 * calls `sweep` at a steady interval.
 *
 * @module
 */

import { logEvent } from "../event_log.ts";

/** Logs the first error of each kind, and counts the rest. */
export class Flood {
  readonly #counts = new Map<string, { total: number; seen: number }>();

  /** Logs or counts an error with this text. */
  note(text: string): void {
    const count = this.#counts.get(text);
    if (count !== undefined) {
      count.total++;
      return;
    }
    this.#counts.set(text, { total: 1, seen: 0 });
    logEvent("error", text);
  }

  /** Logs the count of each kind of which none has come since the last call. */
  sweep(): void {
    for (const [text, count] of this.#counts) {
      if (count.total > count.seen) {
        count.seen = count.total;
        continue;
      }
      if (count.total > 1) logEvent("error", text, { count: count.total });
      this.#counts.delete(text);
    }
  }
}
