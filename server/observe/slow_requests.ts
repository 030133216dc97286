/**
 * The requests that held up the server for longer than `--slow`. Each is logged, and the last ones are on the
 * live page, without their keys and values.
 *
 * @module
 */

import { logEvent } from "./event_log.ts";

/** A request that took long, or several that together took long. */
export interface SlowRequest {
  /** When it was answered, in milliseconds since 1970. */
  readonly at: number;
  /** Its verb; empty if the line is not a request. */
  readonly verb: string;
  /**
   * How many requests took this long together, of which this one was the last: short ones are not timed
   * singly.
   */
  readonly requests: number;
  /** How long it took. */
  readonly milliseconds: number;
  /** The bytes of the request and its reply. */
  readonly bytes: number;
  /** The client's address. */
  readonly address: string | undefined;
}

/** How many to remember. */
const LAST_MAX = 128;

/** The slow requests since the server started. */
export class SlowRequests {
  /** A request that takes longer is slow, in milliseconds. */
  readonly ms: number;
  /** How many there were. */
  count = 0;
  readonly #last: SlowRequest[] = [];

  /** Requests that take longer than this are slow, in milliseconds. */
  constructor(ms: number) {
    this.ms = ms;
  }

  /** The last ones, oldest first: 128 at most. */
  get last(): readonly SlowRequest[] {
    return this.#last;
  }

  /** Logs and remembers one. */
  note(slow: SlowRequest): void {
    this.count++;
    this.#last.push(slow);
    if (this.#last.length > LAST_MAX) this.#last.shift();
    const { verb, requests, milliseconds, bytes, address } = slow;
    // Each took long, so they can't come often enough to flood the log.
    logEvent("warn", requests > 1 ? "Slow requests" : "Slow request", {
      verb,
      ...(requests > 1 && { requests }),
      ms: Math.round(milliseconds),
      bytes,
      ...(address !== undefined && { address }),
    });
  }
}
