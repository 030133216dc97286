/**
 * The requests of one client on their way: gathered into one write, matched with their replies in
 * order, and told apart when a connection breaks: what was not sent waits for the next one, what may
 * have taken place fails and says so.
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
  ProtocolError,
  QueueFullError,
  UnauthorizedError,
} from "./errors.ts";
import { Link, type LinkOwner } from "./link.ts";
import { failLost } from "./lost.ts";
import type { ClientSettings } from "./options.ts";
import { Queue } from "./queue.ts";
import type { Reply } from "./reply_reader.ts";
import type { Request } from "./request.ts";

/** How many characters are written at a time, give or take a line. */
const WRITE_SIZE = 262_144;

/** Sends requests over one connection after the other. */
export class Pipeline implements LinkOwner {
  readonly #settings: ClientSettings;
  readonly #waiting = new Queue<Request>();
  readonly #sent = new Queue<Request>();
  readonly #backoff = new Backoff();
  #link: Link | undefined;
  /** The characters of all requests in both queues. */
  #size = 0;
  /** How many that nobody waits for may still be in the queues. */
  #abandoned = 0;
  #isScheduled = false;
  #isBlocked = false;
  #isConnecting = false;
  #isClosing = false;
  #whyNot: Error | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  readonly #idle = defer<void>();

  private constructor(settings: ClientSettings, link: Link) {
    this.#settings = settings;
    this.#use(link);
  }

  /** Connects; throws what `Link.open` throws. */
  static async open(settings: ClientSettings, signal?: AbortSignal): Promise<Pipeline> {
    return new Pipeline(settings, await Link.open(settings, signal));
  }

  /** Sends a request as soon as it can be. It fails at once where no more are taken. */
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

  /** Fails a request that its caller gave up; its reply, if one comes, is skipped. */
  abandon(request: Request, error: (isSent: boolean) => Error): void {
    if (request.isSettled) return;
    this.#abandoned++;
    request.fail(error(request.sends > 0));
    if (this.#link === undefined) this.#schedule();
  }

  /** Takes no more requests, waits for the replies that are due, and ends the connection. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#checkIdle();
    await this.#idle.promise;
    await this.#link?.end();
    this.#link = undefined;
  }

  /** Ends the connection now; what waits fails. */
  destroy(): void {
    this.#isClosing = true;
    this.#link?.destroy();
    this.#link = undefined;
    this.#failSent(new Error("the client was closed"), { isRetried: false });
    this.#failWaiting(() => new ClosedError("The client is closed"));
    this.#checkIdle();
  }

  /** A reply: `200 OK`. */
  onOk(value: string | undefined): void {
    this.#next().ok(value);
    if (this.#isClosing) this.#checkIdle();
  }

  /** A reply of another kind. */
  onReply(reply: Reply): void {
    if (reply.code === 503 && this.#sent.length === 0) throw new BusyError(503, reply.text);
    this.#next().reply(reply);
    if (this.#isClosing) this.#checkIdle();
  }

  /** There is room for more. */
  onDrain(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  /** The connection is lost. */
  onDown(error: Error): void {
    this.#link = undefined;
    this.#whyNot = error;
    this.#failSent(error, { isRetried: !(error instanceof ProtocolError) });
    this.#reconnect();
    this.#checkIdle();
  }

  /** Behind everything that runs now, so that what is asked at once is one write. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    nextTick(() => this.#flush());
  }

  #reconnect(): void {
    if (!this.#settings.reconnect) this.#failWaiting(() => this.#cannotConnect());
    else if (this.#waiting.length > 0) this.#connect();
  }

  #next(): Request {
    const request = this.#sent.shift();
    if (request === undefined) {
      const message = "The server sent a reply that nobody asked for";
      throw new ProtocolError(message, { mayHaveHappened: false });
    }
    this.#size -= request.size;
    return request;
  }

  #isFull(request: Request): boolean {
    const { queueMax, queueSizeMax } = this.#settings;
    const isFull = () => {
      const count = this.#sent.length + this.#waiting.length;
      return count >= queueMax || count > 0 && this.#size + request.size > queueSizeMax;
    };
    if (!isFull()) return false;
    if (this.#abandoned === 0) return true;
    this.#sift();
    return isFull();
  }

  /** Drops what nobody waits for any more, and fails what began to wait before `limit`. */
  #sift(limit = -Infinity): void {
    this.#abandoned = 0;
    for (const request of this.#waiting.drain()) {
      // One that came while there was a connection waits since now.
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

  /** Writes what waits. */
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

  /** Makes sure that what is late is noticed. */
  #watchOver(): void {
    if (this.#watch !== undefined || this.#sent.length + this.#waiting.length === 0) return;
    const since = (this.#sent.head ?? this.#waiting.head)!.since || performance.now();
    const rest = since + this.#settings.timeout - performance.now();
    this.#watch = setTimeout(() => {
      this.#watch = undefined;
      this.#failLate();
      this.#watchOver();
    }, Math.max(1, Math.ceil(rest)));
    this.#watch.unref?.();
  }

  /** A connection whose oldest request is late is given up; what waits too long for one fails. */
  #failLate(): void {
    const limit = performance.now() - this.#settings.timeout;
    if (this.#link !== undefined && (this.#sent.head?.since ?? Infinity) <= limit) {
      this.#link.destroy();
      this.onDown(new Error(`no reply came in ${this.#settings.timeout} ms`));
    }
    if (this.#link === undefined) this.#sift(limit);
  }

  /** Connects for what waits, again and again for as long as something does. */
  async #connect(): Promise<void> {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    this.#watchOver();
    this.#backoff.reset();
    while (this.#waiting.length > 0) {
      try {
        const link = await Link.open(this.#settings);
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
    // It may have ended between the greeting and now.
    if (link.isDown) this.onDown(new Error("the server closed the connection"));
    else this.#link = link;
  }

  #cannotConnect(): ConnectionError {
    const why = this.#whyNot?.message ?? "there is no connection";
    return new ConnectionError(`The request was not sent: ${why}`, { cause: this.#whyNot });
  }

  /** What was sent and may be sent again waits first; the rest fails. */
  #failSent(error: Error, { isRetried }: { isRetried: boolean }): void {
    const sent = this.#sent.drain();
    const again = failLost(sent, {
      error,
      timeout: this.#settings.timeout,
      isRetried: isRetried && this.#settings.reconnect,
    });
    for (const request of sent) this.#size -= request.size;
    if (again.length === 0) return;
    const others = this.#waiting.drain();
    for (const request of again) this.#size += request.size;
    for (const request of [...again, ...others]) this.#waiting.push(request);
  }

  #failWaiting(error: () => unknown): void {
    for (const request of this.#waiting.drain()) {
      this.#size -= request.size;
      request.fail(error());
    }
    this.#backoff.wake();
  }

  /** Ends a close that waits for the last reply. */
  #checkIdle(): void {
    if (!this.#isClosing || this.#sent.length + this.#waiting.length > 0) return;
    clearTimeout(this.#watch);
    this.#idle.resolve();
  }
}
