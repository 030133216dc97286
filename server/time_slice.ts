/**
 * How long the server may work before it looks at its sockets again. All work on behalf of clients shares one
 * slice of time: turns, packets that complete no line, TLS, and accepting connections. So no client holds up
 * the others, whatever it sends.
 *
 * Deno looks at its sockets only when it has nothing else to do. A read whose bytes are already there
 * completes without such a look, so a client that sends without pause would be served again and again while
 * the others are not even seen.
 *
 * @module
 */

import { REAL_TIME, type Time } from "./time.ts";

/** How long a slice lasts, in milliseconds. */
const SLICE_MS = 6;
/** How much of it may be used before no new work is begun, so that a turn is seldom cut short. */
const FULL_MS = SLICE_MS / 2;
/** After this long without work, the event loop has looked at its sockets on its own. */
const PAUSE_MS = SLICE_MS / 2;
/** How long to wait for a look at the sockets. Only a timer guarantees one. */
const LOOK_MS = 1;

/** The slice of a server. */
export class TimeSlice {
  /** The time by which it is measured. */
  readonly time: Time;
  #startedAt: number;
  #workedAt: number;
  #isFull = false;
  #next: PromiseWithResolvers<void> | undefined;

  /** Begins the first slice. */
  constructor(time: Time = REAL_TIME) {
    this.time = time;
    this.#startedAt = this.#workedAt = time.now();
  }

  /** Whether code with more to do must wait for `next` first. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** When the last stretch of work ended, by its time. */
  get workedAt(): number {
    return this.#workedAt;
  }

  /** Begins a stretch of work, at this time. */
  begin(now: number): void {
    if (now - this.#workedAt > PAUSE_MS) this.#startedAt = now;
  }

  /** Whether work that has begun must stop, at this time. */
  isUsedUp(now: number): boolean {
    return now - this.#startedAt > SLICE_MS;
  }

  /** Ends a stretch of work, at this time. */
  end(now: number): void {
    this.#workedAt = now;
    if (this.#isFull || now - this.#startedAt <= FULL_MS) return;
    this.#isFull = true;
    // If no more work is due now, the event loop continues on its own, and no code need wait.
    this.time.afterTick(() => this.#restart());
  }

  /** Counts a stretch of work that was too short to be timed on its own. */
  count(): void {
    const now = this.time.now();
    this.begin(now);
    this.end(now);
  }

  /** Waits until the event loop has looked at every socket. */
  next(): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#next = Promise.withResolvers<void>();
      this.time.after(LOOK_MS, () => {
        this.#next = undefined;
        this.#restart();
        next.resolve();
      });
    }
    return this.#next.promise;
  }

  #restart(): void {
    this.#isFull = false;
    this.#startedAt = this.#workedAt = this.time.now();
  }
}
