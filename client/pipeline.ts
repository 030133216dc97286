/**
 * The requests of one client: they are gathered into one write and matched with their replies in order.
 * When the connection breaks, unsent requests wait for the next one; a change that may have taken effect
 * fails and says so.
 *
 * @module
 */

import { performance } from "node:perf_hooks";
import { nextTick } from "node:process";
import { clearTimeout, setTimeout } from "node:timers";
import { Backoff } from "./backoff.ts";
import { defer } from "./deferred.ts";
import {
  ArgumentError,
  BusyError,
  ClosedError,
  ConnectionError,
  type KeylineError,
  ProtocolError,
  QueueFullError,
  UnauthorizedError,
} from "./errors.ts";
import { Link, type LinkOwner, unasked } from "./link.ts";
import { failLost } from "./lost.ts";
import type { ClientSettings } from "./options.ts";
import { Queue } from "./queue.ts";
import type { Reply } from "./reply_reader.ts";
import type { Request } from "./request.ts";

/** How many characters go into one write, give or take a line. */
const WRITE_SIZE = 262_144;

/** Sends requests over one connection at a time. */
export class Pipeline implements LinkOwner {
  /** The options of the client. */
  readonly settings: ClientSettings;
  readonly #waiting = new Queue<Request>();
  readonly #sent = new Queue<Request>();
  readonly #backoff = new Backoff();
  #link: Link | undefined;
  /** The size of all requests in both queues, in characters. */
  #size = 0;
  /** At most how many abandoned requests are still in the queues. */
  #abandoned = 0;
  #isScheduled = false;
  #isBlocked = false;
  #isConnecting = false;
  #isClosing = false;
  #whyNot: Error | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  readonly #idle = defer<void>();

  private constructor(settings: ClientSettings, link: Link) {
    this.settings = settings;
    this.#use(link);
  }

  /** Connects. Throws what `Link.open` throws. */
  static async open(settings: ClientSettings, signal?: AbortSignal): Promise<Pipeline> {
    return new Pipeline(settings, await Link.open(settings, signal));
  }

  /** Sends a request as soon as possible. It fails at once if the client is closed or full. */
  send(request: Request): void {
    if (this.#isClosing) return request.fail(new ClosedError("The client is closed"));
    if (this.#isFull(request)) {
      const count = this.#sent.length + this.#waiting.length;
      return request.fail(new QueueFullError(`Too many requests: ${count} wait for their replies`));
    }
    this.#size += request.size;
    if (this.#link === undefined) request.since = performance.now();
    this.#waiting.push(request);
    this.#schedule();
  }

  /** Fails a request that its caller gave up. A reply that still arrives is skipped. */
  abandon(request: Request, error: KeylineError): void {
    if (request.isSettled) return;
    this.#abandoned++;
    request.fail(error);
    if (this.#link === undefined) this.#schedule();
  }

  /** Takes no more requests, waits for the outstanding replies, and ends the connection. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#checkIdle();
    await this.#idle.promise;
    await this.#link?.end();
    this.#link = undefined;
  }

  /** Ends the connection now and fails every request that waits. */
  destroy(): void {
    this.#isClosing = true;
    this.#link?.destroy();
    this.#link = undefined;
    this.#failSent(new Error("the client was closed"), { isRetried: false });
    this.#failWaiting(() => new ClosedError("The client is closed"));
    this.#checkIdle();
  }

  /** Whether a reply may arrive. */
  get isExpecting(): boolean {
    return this.#sent.length > 0;
  }

  /** Settles the oldest request by `200 OK`. */
  onOk(value: string | undefined): void {
    this.#next().ok(value);
    if (this.#isClosing) this.#checkIdle();
  }

  /** Settles the oldest request by another reply. */
  onReply(reply: Reply): void {
    if (reply.code === 503 && this.#sent.length === 0) throw new BusyError(503, reply.text);
    this.#next().reply(reply);
    if (this.#isClosing) this.#checkIdle();
  }

  /** Goes on writing. */
  onDrain(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  /** Sorts out the requests of a lost connection, and connects again if any is left. */
  onDown(error: Error): void {
    this.#link = undefined;
    this.#whyNot = error;
    this.#failSent(error, { isRetried: !(error instanceof ProtocolError) });
    this.#reconnect();
    this.#checkIdle();
  }

  /** Writes after all code that runs now, so that requests made together go out together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    nextTick(() => this.#flush());
  }

  #reconnect(): void {
    if (!this.settings.reconnect) this.#failWaiting(() => this.#cannotConnect());
    else if (this.#waiting.length > 0) this.#connect();
  }

  #next(): Request {
    const request = this.#sent.shift();
    if (request === undefined) throw unasked();
    this.#size -= request.size;
    return request;
  }

  #isFull(request: Request): boolean {
    const { queueMax, queueSizeMax } = this.settings;
    const isFull = () => {
      const count = this.#sent.length + this.#waiting.length;
      return count >= queueMax || count > 0 && this.#size + request.size > queueSizeMax;
    };
    if (!isFull()) return false;
    if (this.#abandoned === 0) return true;
    this.#sift();
    return isFull();
  }

  /** Drops abandoned requests from the waiting ones, and fails those that have waited since `limit`. */
  #sift(limit = -Infinity): void {
    this.#abandoned = 0;
    for (const request of this.#waiting.drain()) {
      // A request that came while there was a connection has waited since now.
      request.since ||= performance.now();
      if (!request.isSettled && request.since > limit) {
        this.#waiting.push(request);
        continue;
      }
      this.#size -= request.size;
      request.fail(this.#cannotConnect());
    }
    if (this.#waiting.length === 0) this.#backoff.wake();
    this.#checkIdle();
  }

  /** Writes the waiting requests. */
  #flush(): void {
    this.#isScheduled = false;
    if (this.#waiting.length === 0) return;
    if (this.#link === undefined) {
      if (this.#abandoned > 0) this.#sift();
      return this.#reconnect();
    }
    const now = performance.now();
    while (!this.#isBlocked && this.#waiting.length > 0) {
      let lines = "";
      while (lines.length < WRITE_SIZE) {
        const request = this.#waiting.shift();
        if (request === undefined) break;
        if (request.isSettled) {
          this.#size -= request.size;
          continue;
        }
        lines += request.line;
        if (!request.isSafe) request.line = "";
        request.sends++;
        request.since = now;
        this.#sent.push(request);
      }
      if (lines !== "") this.#isBlocked = !this.#link.write(lines);
    }
    this.#checkIdle();
    this.#watchOver();
  }

  /** Sets the timer that notices late replies. */
  #watchOver(): void {
    if (this.#watch !== undefined || this.#sent.length + this.#waiting.length === 0) return;
    const since = (this.#sent.head ?? this.#waiting.head)!.since || performance.now();
    const rest = since + this.settings.timeout - performance.now();
    this.#watch = setTimeout(() => {
      this.#watch = undefined;
      this.#failLate();
      this.#watchOver();
    }, Math.max(1, Math.ceil(rest)));
    this.#watch.unref?.();
  }

  /** Gives up a connection whose oldest request is late, and fails requests that waited too long. */
  #failLate(): void {
    const limit = performance.now() - this.settings.timeout;
    if (this.#link !== undefined && (this.#sent.head?.since ?? Infinity) <= limit) {
      this.#link.destroy();
      this.onDown(new Error(`no reply came in ${this.settings.timeout} ms`));
    }
    if (this.#link === undefined) this.#sift(limit);
  }

  /** Tries to connect for as long as a request waits. */
  async #connect(): Promise<void> {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    this.#watchOver();
    this.#backoff.reset();
    while (this.#waiting.length > 0) {
      try {
        const link = await Link.open(this.settings);
        if (this.#waiting.length === 0 && this.#isClosing) link.destroy();
        else this.#use(link);
        break;
      } catch (error) {
        this.#whyNot = error as Error;
        const isFinal = error instanceof UnauthorizedError || error instanceof ArgumentError;
        if (isFinal) this.#failWaiting(() => error);
        if (this.#waiting.length > 0) await this.#backoff.pause();
      }
    }
    this.#isConnecting = false;
    this.#checkIdle();
    this.#flush();
  }

  #use(link: Link): void {
    this.#isBlocked = false;
    link.attach(this);
    // It may have ended since the greeting.
    if (link.isDown) this.onDown(new Error("the server closed the connection"));
    else this.#link = link;
  }

  #cannotConnect(): ConnectionError {
    const why = this.#whyNot?.message ?? "there is no connection";
    return new ConnectionError(`Cannot send the request: ${why}`, { cause: this.#whyNot });
  }

  /** Puts sent requests that may be sent again before the waiting ones, and fails the others. */
  #failSent(error: Error, { isRetried }: { isRetried: boolean }): void {
    const sent = this.#sent.drain();
    const again = failLost(sent, {
      error,
      timeout: this.settings.timeout,
      isRetried: isRetried && this.settings.reconnect,
    });
    for (const request of sent) this.#size -= request.size;
    if (again.length === 0) return;
    const others = this.#waiting.drain();
    for (const request of again) this.#size += request.size;
    for (const request of [...again, ...others]) this.#waiting.push(request);
  }

  #failWaiting(error: () => KeylineError): void {
    for (const request of this.#waiting.drain()) {
      this.#size -= request.size;
      request.fail(error());
    }
    this.#backoff.wake();
  }

  /** Lets `close` go on once the last reply is there. */
  #checkIdle(): void {
    if (!this.#isClosing || this.#sent.length + this.#waiting.length > 0) return;
    clearTimeout(this.#watch);
    this.#idle.resolve();
  }
}
