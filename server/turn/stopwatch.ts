/**
 * Finds the requests that hold up the server. A turn looks at the clock after every few lines anyway; the
 * time is charged to the requests answered since the last look. Operations without a key, such as KEYS, are
 * timed one by one, because their work grows with the table.
 *
 * @module
 */

import type { Request } from "../dispatch/request.ts";
import type { Session } from "../dispatch/session.ts";
import type { Time } from "../time.ts";

/** A session, which is told about slow requests. */
export type Charged = Pick<Session, "noteSlow">;

/** The stopwatch of a turn. */
export class Stopwatch {
  readonly #time: Time;
  readonly #slowMs: number;
  #lookedAt = 0;
  #count = 0;
  #session: Charged | undefined;
  #request: Request | undefined;

  /** Requests that take longer than `slowMs` milliseconds, by this time, are slow. */
  constructor(time: Time, slowMs: number) {
    this.#time = time;
    this.#slowMs = slowMs;
  }

  /** Starts with requests; earlier time is charged to none. */
  start(): void {
    this.#lookedAt = this.#time.now();
    this.#count = 0;
  }

  /** Notes that so many requests were answered, this one last. */
  count(requests: number, last: Request, session: Charged): void {
    this.#request = last;
    this.#session = session;
    this.#count += requests;
  }

  /** Looks at the clock and returns the time. */
  look(): number {
    const now = this.#time.now();
    const ms = now - this.#lookedAt;
    if (ms > this.#slowMs && this.#count > 0) {
      this.#session!.noteSlow(this.#request!, { ms, requests: this.#count });
    }
    this.#lookedAt = now;
    this.#count = 0;
    return now;
  }
}

/** Whether to time a request on its own. */
export function isTimedAlone({ operation, reply }: Request): boolean {
  return reply === undefined && !operation!.isKeyed;
}
