/**
 * The time of a test. It stands still unless the test moves it, so that a turn takes no time however busy
 * the machine is.
 *
 * @module
 */

import { REAL_TIME, type Time } from "../../server/time.ts";

/** A clock that stands still; callbacks come as they do on a server. */
export const STOPPED: Time = { ...REAL_TIME, now: () => 0 };

/** The same, for tests to which nothing matters that waits. */
export const IMPATIENT: Time = {
  ...STOPPED,
  after: (_ms, callback) => REAL_TIME.after(0, callback),
};

/** A clock that a test moves, and callbacks that come when it says so. */
export class ManualTime implements Time {
  /** How many milliseconds have passed. */
  ms = 0;
  /** Added to the time at each look, in milliseconds: so long does all take that is done between two. */
  msPerLook = 0;
  /** How long the timer that was set last is to wait, in milliseconds. */
  lastWait = 0;
  readonly #timers = new Set<() => void>();
  readonly #ticks: (() => void)[] = [];

  now(): number {
    return this.ms += this.msPerLook;
  }

  after(ms: number, callback: () => void): { cancel(): void } {
    this.lastWait = ms;
    const timer = () => callback();
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  afterTick(callback: () => void): void {
    this.#ticks.push(callback);
  }

  /** How many timers are set. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Fires the timer that was set first; false where there is none. */
  fire(): boolean {
    const [next] = this.#timers;
    if (next === undefined) return false;
    this.#timers.delete(next);
    next();
    return true;
  }

  /** Fires timers until none is left; returns how many there were. */
  fireAll(): number {
    let count = 0;
    while (this.fire()) count++;
    return count;
  }

  /** Ends the current turn of the event loop. */
  tick(): void {
    for (const callback of this.#ticks.splice(0)) callback();
  }
}
