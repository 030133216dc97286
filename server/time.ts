/**
 * The time by which turns are timed: when to yield, and how long work took. The server uses the real one; a
 * test brings its own, which stands still or moves as the test says.
 *
 * @module
 */

import { setImmediate } from "node:timers";

/** A clock, and what calls back later. */
export interface Time {
  /** Milliseconds since some moment. */
  now(): number;
  /** Calls back after so many milliseconds. The event loop has looked at every socket by then. */
  after(ms: number, callback: () => void): Timer;
  /** Calls back in the next turn of the event loop, after pending microtasks. */
  afterTick(callback: () => void): void;
}

/** A callback that is still to come. */
export interface Timer {
  /** Prevents it. */
  cancel(): void;
}

/** The time of this machine. */
export const REAL_TIME: Time = {
  now: () => performance.now(),
  after(ms, callback) {
    const id = setTimeout(callback, ms);
    return { cancel: () => clearTimeout(id) };
  },
  afterTick: (callback) => void setImmediate(callback),
};
