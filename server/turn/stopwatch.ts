/**
 * Finds the requests that hold up the server. A turn looks at the clock after some lines anyway; what was
 * answered since the last look is charged with the time. Operations without a key, such as KEYS, have looks of
 * their own: what they do grows with the table.
 *
 * @module
 */

import type { Request } from "../dispatch/request.ts";
import type { Session } from "../dispatch/session.ts";
import type { Time } from "../time.ts";

/** What is told of slow requests: a session. */
export type Charged = Pick<Session, "noteSlow">;

/** The stopwatch of a turn. */
export class Stopwatch {
  readonly #time: Time;
  readonly #slowMs: number;
  #lookedAt = 0;
  #count = 0;
  #member: Charged | undefined;
  #request: Request | undefined;

  /** Requests are slow that take longer than `slowMs`, by this time. */
  constructor(time: Time, slowMs: number) {
    this.#time = time;
    this.#slowMs = slowMs;
  }

  /** Starts with requests; whatever went before is charged to nobody. */
  start(): void {
    this.#lookedAt = this.#time.now();
    this.#count = 0;
  }

  /** Notes that a request was answered. */
  count(request: Request, member: Charged): void {
    this.#request = request;
    this.#member = member;
    this.#count++;
  }

  /** Looks at the clock and returns the time. */
  look(): number {
    const now = this.#time.now();
    const ms = now - this.#lookedAt;
    if (ms > this.#slowMs && this.#count > 0) {
      this.#member!.noteSlow(this.#request!, { ms, requests: this.#count });
    }
    this.#lookedAt = now;
    this.#count = 0;
    return now;
  }
}

/** Whether a request is to be timed by itself. */
export function isTimedAlone({ operation, reply }: Request): boolean {
  return reply === undefined && operation!.arity.keys[0] !== true;
}
