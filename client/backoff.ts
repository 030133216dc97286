/**
 * The pauses between attempts to connect.
 *
 * @module
 */

import { clearTimeout, setTimeout } from "node:timers";

/** The first pause and the longest one, in milliseconds. */
const PAUSE_MS = { min: 50, max: 2_000 };

/** Pauses that double up to a limit. */
export class Backoff {
  #milliseconds = PAUSE_MS.min;
  #end: (() => void) | undefined;

  /** Starts over with the shortest pause. */
  reset(): void {
    this.#milliseconds = PAUSE_MS.min;
  }

  /** Waits for a random time between half the pause and all of it, so that clients don't all return at once. */
  async pause(): Promise<void> {
    const milliseconds = this.#milliseconds * (0.5 + Math.random() / 2);
    this.#milliseconds = Math.min(this.#milliseconds * 2, PAUSE_MS.max);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#end = undefined;
  }

  /** Cuts the current pause short, if there is one. */
  wake(): void {
    this.#end?.();
  }
}
