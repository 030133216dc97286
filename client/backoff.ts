/**
 * The pauses between connection attempts, which double until a connection succeeds.
 *
 * @module
 */

import { performance } from "node:perf_hooks";
import { clearTimeout, setTimeout } from "node:timers";

/** The first pause and the longest one, in milliseconds. */
export interface Pauses {
  /** The first one. */
  readonly min: number;
  /** The longest one. */
  readonly max: number;
}

/** Says when to connect again. */
export class Backoff {
  readonly #pauses: Pauses;
  #milliseconds: number;
  #until = 0;
  #end: (() => void) | undefined;

  /** Allows the first attempt at once. */
  constructor(pauses: Pauses) {
    this.#pauses = pauses;
    this.#milliseconds = pauses.min;
  }

  /** Allows the next attempt at once, after a connection that served its purpose. */
  succeeded(): void {
    this.#milliseconds = this.#pauses.min;
    this.#until = 0;
  }

  /**
   * Delays the next attempt after a failed connection, for a random time between half the pause and all of
   * it, so that clients don't all return at once.
   */
  failed(): void {
    this.#until = performance.now() + this.#milliseconds * (0.5 + Math.random() / 2);
    this.#milliseconds = Math.min(this.#milliseconds * 2, this.#pauses.max);
  }

  /** Waits until the next attempt is allowed. */
  async pause(): Promise<void> {
    const milliseconds = this.#until - performance.now();
    if (milliseconds <= 0) return;
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
