/**
 * The requests of one client: gathers them into one write and matches them with their replies in order. When
 * the connection breaks, unsent requests wait for the next one; a change that may have taken effect fails
 * with an error that says so.
 *
 * @module
 */

import { performance } from "node:perf_hooks";
import { nextTick } from "node:process";
import { clearTimeout, setTimeout } from "node:timers";
import { Backlog } from "./backlog.ts";
import { Backoff } from "./backoff.ts";
import { defer } from "./deferred.ts";
import {
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
import type { Reply } from "./reply_reader.ts";
import type { Request } from "./request.ts";

/** How often the client looks, in one timeout, for requests that waited too long for a connection. */
const LOOKS = 20;
/** How many characters go into one write, give or take a line. */
const WRITE_SIZE = 262_144;

/** Sends requests over one connection at a time. */
export class Pipeline implements LinkOwner {
  /** The options of the client. */
  readonly settings: ClientSettings;
  readonly #backlog: Backlog;
  readonly #backoff: Backoff;
  #link: Link | undefined;
  #isScheduled = false;
  #isBlocked = false;
  /** Whether this connection has answered a request other than with 503. */
  #hasAnswered = false;
  #isConnecting = false;
  #isClosing = false;
  /** How many calls of two requests are not done; `close` waits for them. */
  #calls = 0;
  #whyNot: Error | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  readonly #idle = defer<void>();
  /** Aborted when nothing is to be sent any more, which also ends the attempt to connect. */
  readonly #end = new AbortController();
  #closed: Promise<void> | undefined;

  private constructor(settings: ClientSettings, link: Link) {
    this.settings = settings;
    this.#backlog = new Backlog(settings);
    this.#backoff = new Backoff(settings.pauseMs);
    this.#use(link);
  }

  /** Connects. Throws what `Link.open` throws. */
  static async open(settings: ClientSettings, signal?: AbortSignal): Promise<Pipeline> {
    return new Pipeline(settings, await Link.open(settings, signal));
  }

  /**
   * Sends a request as soon as possible. It fails at once if the client is closed or full, but the second
   * request of a call only if the client is destroyed.
   */
  send(request: Request, isSecond = false): void {
    if (isSecond ? this.#end.signal.aborted : this.#isClosing) {
      return request.fail(new ClosedError("The client is closed"));
    }
    if (!isSecond && this.#backlog.isFull(request)) {
      const { count } = this.#backlog;
      return request.fail(new QueueFullError(`Too many requests: ${count} wait for their replies`));
    }
    if (this.#link === undefined) request.since = performance.now();
    this.#backlog.add(request);
    this.#schedule();
  }

  /** Makes `close` wait for a call of two requests. */
  async during<Result>(call: Promise<Result>): Promise<Result> {
    this.#calls++;
    try {
      return await call;
    } finally {
      this.#calls--;
      this.#checkIdle();
    }
  }

  /** Fails a request that its caller gave up. A reply that still arrives is skipped. */
  abandon(request: Request, error: KeylineError): void {
    if (request.isSettled) return;
    request.fail(error);
    this.#backlog.abandon(request);
    this.#checkIdle();
  }

  /** Takes no more requests, waits for the outstanding replies, and ends the connection. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#checkIdle();
    await this.#idle.promise;
    await this.#link?.end();
    this.#link = undefined;
  }

  /** Ends the connection now and fails every request that waits. */
  destroy(): void {
    this.#isClosing = true;
    this.#end.abort();
    this.#link?.destroy();
    this.#link = undefined;
    this.#failSent(new Error("the client was closed"), { isRetried: false });
    this.#backlog.failWaiting(() => new ClosedError("The client is closed"));
    this.#checkIdle();
  }

  /** Whether a reply may arrive. */
  get isExpecting(): boolean {
    return this.#backlog.isExpecting;
  }

  /** Settles the oldest request by `200 OK`. */
  onOk(value: string | undefined): void {
    this.#next().ok(value);
    if (this.#isClosing) this.#checkIdle();
  }

  /** Settles the oldest request by another reply. */
  onReply(reply: Reply): void {
    if (reply.code === 503 && !this.isExpecting) throw new BusyError(503, reply.text);
    this.#next().reply(reply);
    if (reply.code === 503) this.#hasAnswered = false;
    if (this.#isClosing) this.#checkIdle();
  }

  /** Resumes writing. */
  onDrain(): void {
    this.#isBlocked = false;
    this.#flush();
  }

  /** Sorts out the requests of a lost connection, and connects again if any is left. */
  onDown(error: Error): void {
    this.#link = undefined;
    this.#whyNot = error;
    if (this.#hasAnswered) this.#backoff.succeeded();
    else this.#backoff.failed();
    this.#failSent(error, { isRetried: !(error instanceof ProtocolError) });
    this.#endWatch();
    this.#watchOver();
    this.#reconnect();
  }

  /** Writes after all currently running code, so that requests made together go out together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    nextTick(() => this.#flush());
  }

  #reconnect(): void {
    if (!this.settings.reconnect) this.#backlog.failWaiting(() => this.#cannotConnect());
    else if (this.#backlog.isWaiting) this.#connect();
    this.#checkIdle();
  }

  #next(): Request {
    const request = this.#backlog.answered();
    if (request === undefined) throw unasked();
    this.#hasAnswered = true;
    return request;
  }

  /** Writes the waiting requests. */
  #flush(): void {
    this.#isScheduled = false;
    if (this.#link === undefined) {
      this.#watchOver();
      return this.#reconnect();
    }
    while (!this.#isBlocked) {
      const lines = this.#backlog.take(WRITE_SIZE);
      if (lines === "") break;
      this.#isBlocked = !this.#link.write(lines);
    }
    this.#watchOver();
  }

  /** Sets the timer that notices late replies, and requests that wait too long for a connection. */
  #watchOver(): void {
    const { since } = this.#backlog;
    if (this.#watch !== undefined || since === Infinity || this.#end.signal.aborted) return;
    const { timeout } = this.settings;
    const rest = this.#link === undefined ? timeout / LOOKS : since + timeout - performance.now();
    this.#watch = setTimeout(() => {
      this.#watch = undefined;
      this.#failLate();
      this.#watchOver();
    }, Math.max(1, Math.ceil(rest)));
    this.#watch.unref?.();
  }

  #endWatch(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }

  /** Gives up a connection whose oldest request is late, and fails requests that waited too long. */
  #failLate(): void {
    const { timeout } = this.settings;
    const limit = performance.now() - timeout;
    if (this.#link !== undefined && this.#backlog.since <= limit) {
      this.#link.destroy();
      this.onDown(new Error(`no reply came in ${timeout} ms`));
    }
    if (this.#link !== undefined) return;
    this.#backlog.failWaiting(() => this.#cannotConnect(), limit);
    this.#checkIdle();
  }

  /** Tries to connect for as long as a request waits. */
  async #connect(): Promise<void> {
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    while (this.#backlog.isWaiting && this.#link === undefined) {
      await this.#backoff.pause();
      if (!this.#backlog.isWaiting) break;
      try {
        const link = await Link.open(this.settings, this.#end.signal);
        // The end may have come just after the connection.
        if (this.#end.signal.aborted) link.destroy();
        else this.#use(link);
      } catch (error) {
        this.#whyNot = error as Error;
        this.#backoff.failed();
        if (error instanceof UnauthorizedError) this.#backlog.failWaiting(() => error);
      }
    }
    this.#isConnecting = false;
    this.#checkIdle();
    this.#flush();
  }

  #use(link: Link): void {
    this.#isBlocked = false;
    this.#hasAnswered = false;
    link.attach(this);
    // It may have ended since the greeting.
    this.#link = link;
    if (link.isDown) this.onDown(new Error("the server closed the connection"));
  }

  #cannotConnect(): ConnectionError {
    const why = this.#whyNot?.message ?? "there is no connection";
    return new ConnectionError(`Cannot send the request: ${why}`, { cause: this.#whyNot });
  }

  /** Puts sent requests that may be sent again before the waiting ones, and fails the others. */
  #failSent(error: Error, { isRetried }: { isRetried: boolean }): void {
    const again = failLost(this.#backlog.lost(), {
      error,
      timeout: this.settings.timeout,
      isRetried: isRetried && this.settings.reconnect,
    });
    if (again.length > 0) this.#backlog.putBack(again);
  }

  /** Ends what is no longer needed: a pause and, once the client is closing, everything. */
  #checkIdle(): void {
    if (!this.#backlog.isWaiting) this.#backoff.wake();
    if (!this.#isClosing || this.#backlog.isAwaited) return;
    if (this.#calls > 0 && !this.#end.signal.aborted) return;
    this.#endWatch();
    this.#end.abort();
    this.#idle.resolve();
  }
}
