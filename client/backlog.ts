/**
 * The requests that a client holds, in order: first those that wait to be sent, then those that wait for
 * their replies. It counts them and bounds them; `pipeline.ts` moves them on.
 *
 * @module
 */

import { performance } from "node:perf_hooks";
import type { KeylineError } from "./errors.ts";
import { Queue } from "./queue.ts";
import type { Request } from "./request.ts";

/** How many requests a client holds at most, and how many characters. */
export interface QueueLimits {
  /** How many requests may wait. */
  readonly queueMax: number;
  /** How many characters they may have in total. */
  readonly queueSizeMax: number;
}

/** This many abandoned requests may stay in the queue, or half of it. */
const LEFT_MAX = 64;

/** The requests of one client. */
export class Backlog {
  readonly #limits: QueueLimits;
  readonly #waiting = new Queue<Request>();
  readonly #sent = new Queue<Request>();
  /** The size of all requests but those abandoned before they were sent, in characters. */
  #size = 0;
  /** How many of the waiting requests are abandoned. */
  #waitingAbandoned = 0;
  /** How many of the sent requests are abandoned; their replies are still to come. */
  #sentAbandoned = 0;

  /** Creates an empty backlog. */
  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** How many requests count against the limit. */
  get count(): number {
    return this.#sent.length + this.#waiting.length - this.#waitingAbandoned;
  }

  /** Whether there is a request that is to be sent. */
  get isWaiting(): boolean {
    return this.#waiting.length > this.#waitingAbandoned;
  }

  /** Whether a reply is expected, even to an abandoned request. */
  get isExpecting(): boolean {
    return this.#sent.length > 0;
  }

  /** Whether any caller waits. */
  get isAwaited(): boolean {
    return this.isWaiting || this.#sent.length > this.#sentAbandoned;
  }

  /** When the oldest request was sent or, if none is in flight, began to wait; Infinity if there is none. */
  get since(): number {
    return (this.#sent.head ?? this.#waiting.head)?.since ?? Infinity;
  }

  /** Whether a request is one too many. A single one has room whatever its size. */
  isFull({ size }: Request): boolean {
    const { queueMax, queueSizeMax } = this.#limits;
    return this.count >= queueMax || this.count > 0 && this.#size + size > queueSizeMax;
  }

  /** Adds a request that is to be sent. */
  add(request: Request): void {
    this.#size += request.size;
    this.#waiting.push(request);
    if (this.#waiting.length === 1) this.#markHead();
  }

  /** Stops counting a request that its caller gave up. */
  abandon(request: Request): void {
    request.line = "";
    if (request.isInFlight) {
      this.#sentAbandoned++;
      return;
    }
    this.#waitingAbandoned++;
    this.#size -= request.size;
    const { length } = this.#waiting;
    if (this.#waitingAbandoned > LEFT_MAX && this.#waitingAbandoned * 2 > length) this.#sift();
  }

  /** Takes waiting requests as sent. Returns their lines: `sizeMax` characters, give or take a line. */
  take(sizeMax: number): string {
    const now = performance.now();
    let lines = "";
    while (lines.length < sizeMax) {
      const request = this.#waiting.shift();
      if (request === undefined) break;
      if (request.isSettled) {
        this.#waitingAbandoned--;
        continue;
      }
      lines += request.line;
      if (!request.isSafe) request.line = "";
      request.sends++;
      request.since = now;
      request.isInFlight = true;
      this.#sent.push(request);
    }
    this.#markHead();
    return lines;
  }

  /** Removes and returns the oldest sent request, whose reply has arrived. */
  answered(): Request | undefined {
    const request = this.#sent.shift();
    if (request === undefined) return undefined;
    this.#size -= request.size;
    if (request.isSettled) this.#sentAbandoned--;
    return request;
  }

  /**
   * Removes and returns the sent requests that were not abandoned, as their replies will never come. The
   * others begin to wait for a connection, unless they already did.
   */
  lost(): Request[] {
    const now = performance.now();
    for (const request of this.#waiting) request.since ||= now;
    const sent = this.#sent.drain();
    this.#sentAbandoned = 0;
    for (const request of sent) {
      this.#size -= request.size;
      request.isInFlight = false;
    }
    return sent.filter((request) => !request.isSettled);
  }

  /** Puts lost requests before those that wait. */
  putBack(requests: readonly Request[]): void {
    const others = this.#waiting.drain();
    for (const request of requests) this.add(request);
    for (const request of others) this.#waiting.push(request);
  }

  /** Fails the waiting requests that have waited since `limit` or longer. */
  failWaiting(error: () => KeylineError, limit = Infinity): void {
    this.#sift((request) => {
      if (request.since > limit) return true;
      this.#size -= request.size;
      request.fail(error());
      return false;
    });
  }

  /** Drops from the waiting requests those that were abandoned, and those not to be kept. */
  #sift(isKept: (request: Request) => boolean = () => true): void {
    const waiting = this.#waiting.drain();
    this.#waitingAbandoned = 0;
    for (const request of waiting) {
      if (!request.isSettled && isKept(request)) this.#waiting.push(request);
    }
    this.#markHead();
  }

  /** Marks when the oldest waiting request became the oldest, in case the connection takes no more. */
  #markHead(): void {
    const { head } = this.#waiting;
    if (head !== undefined) head.since ||= performance.now();
  }
}
