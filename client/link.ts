/**
 * One connection to a server, from the handshake to its end. `pipeline.ts` opens a new one where the
 * last was lost.
 *
 * @module
 */

import { connect as connectTcp, isIP, type Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { connect as connectTls } from "node:tls";
import { defer } from "./deferred.ts";
import {
  AbortError,
  ArgumentError,
  BusyError,
  ConnectionError,
  errorOf,
  type KeylineError,
  UnauthorizedError,
} from "./errors.ts";
import { faultOfValue } from "./line.ts";
import type { ClientSettings } from "./options.ts";
import { type Reply, ReplyReader, type ReplySink } from "./reply_reader.ts";

/** Who takes what comes from a link. */
export interface LinkOwner extends ReplySink {
  /** More can be written. */
  onDrain(): void;
  /** The link is gone, for this reason; called once. */
  onDown(error: Error): void;
}

/**
 * The first line of each connection: one that every server answers and that changes nothing. It tells
 * a server of ours from another, and it keeps a value from being the first line, where one that ends
 * in `HTTP/1.1` would be taken for what it is not.
 */
const GREETING = "HELP HELP\r\n";
/** How long the server may take to close its side at the end, in milliseconds. */
const END_MS_MAX = 1_000;
/** How long a connection may be silent before the system asks whether the other side lives, in ms. */
const KEEP_ALIVE_MS = 60_000;

/** A connection that is made, and greeted. */
export class Link {
  readonly #socket: Socket;
  #owner: LinkOwner;
  #isDown = false;

  private constructor(socket: Socket, owner: LinkOwner, replyBytesMax: number) {
    this.#socket = socket;
    this.#owner = owner;
    const reader = new ReplyReader({
      onOk: (value) => this.#owner.onOk(value),
      onReply: (reply) => this.#owner.onReply(reply),
    }, replyBytesMax);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on("data", (chunk: Uint8Array) => {
      try {
        if (!this.#isDown) reader.push(chunk);
      } catch (error) {
        this.#down(error as Error);
      }
    });
    socket.on("drain", () => this.#owner.onDrain());
    socket.on("error", (error: Error) => this.#down(error));
    socket.on("end", () => this.#down(new Error("the server closed the connection")));
    socket.on("close", () => this.#down(new Error("the connection is closed")));
  }

  /**
   * Connects, greets, and gives the password. Throws ConnectionError, BusyError, UnauthorizedError,
   * ProtocolError or AbortError.
   */
  static async open(settings: ClientSettings, signal?: AbortSignal): Promise<Link> {
    const greeting = GREETING + authLine(settings.password);
    if (signal?.aborted) throw abortError(signal);
    const done = defer<void>();
    // Whoever fails first says why; what fails later has nobody to listen.
    done.promise.catch(() => {});
    const replies: Reply[] = [];
    const take = (reply: Reply) => {
      replies.push(reply);
      const fault = faultOfGreeting(reply, replies.length);
      if (fault !== undefined) done.reject(fault);
      else if (replies.length === (settings.password === undefined ? 1 : 2)) done.resolve();
    };
    const socket = openSocket(settings);
    const link = new Link(socket, {
      onOk: () => take({ code: 200, text: "OK", lines: [] }),
      onReply: take,
      onDrain() {},
      onDown: (error) => done.reject(error),
    }, settings.replyBytesMax);
    const late = () => done.reject(new Error(`no answer in ${settings.timeout} ms`));
    const timer = setTimeout(late, settings.timeout);
    const abort = () => done.reject(abortError(signal!));
    signal?.addEventListener("abort", abort);
    socket.once(settings.tls ? "secureConnect" : "connect", () => socket.write(greeting));
    try {
      await done.promise;
      return link;
    } catch (error) {
      link.destroy();
      throw describe(error as Error, settings);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Whether it is gone. */
  get isDown(): boolean {
    return this.#isDown;
  }

  /** From now on, `owner` takes what comes. */
  attach(owner: LinkOwner): void {
    this.#owner = owner;
  }

  /** Writes whole lines; false where the owner is to wait for `onDrain` before it writes more. */
  write(lines: string): boolean {
    return this.#socket.write(lines, "utf8");
  }

  /** Says goodbye, and waits until the connection is closed. */
  async end(): Promise<void> {
    this.#isDown = true;
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    const timer = setTimeout(() => this.#socket.destroy(), END_MS_MAX);
    this.#socket.end("QUIT\r\n");
    await closed;
    clearTimeout(timer);
  }

  /** Closes it at once; nobody is told. */
  destroy(): void {
    this.#isDown = true;
    this.#socket.destroy();
  }

  #down(error: Error): void {
    if (this.#isDown) return;
    this.destroy();
    this.#owner.onDown(error);
  }
}

/** The error of a signal that was aborted before anything was sent. */
export function abortError(signal: AbortSignal, mayHaveHappened = false): AbortError {
  return new AbortError("The request was aborted", { cause: signal.reason, mayHaveHappened });
}

function openSocket({ hostname, port, tls, ca }: ClientSettings): Socket {
  if (!tls) return connectTcp({ host: hostname, port });
  return connectTls({
    host: hostname,
    port,
    ...isIP(hostname) === 0 && { servername: hostname },
    ...ca && { ca },
  });
}

function authLine(password: string | undefined): string {
  if (password === undefined) return "";
  const fault = faultOfValue(password);
  if (fault !== undefined) throw new ArgumentError(`Cannot send the password: ${fault}`);
  return `AUTH ${password}\r\n`;
}

/** What is wrong with the answer to the greeting, or with that to AUTH, which comes second. */
function faultOfGreeting({ code, text }: Reply, count: number): KeylineError | undefined {
  if (code === 503) return new BusyError(code, text);
  // The greeting's own operation may be disabled; any code will do.
  return count === 2 && code !== 200 ? errorOf(code, text) : undefined;
}

/** What to tell of a connection that could not be made. */
function describe(error: Error, { hostname, port }: ClientSettings): Error {
  const isClear = [BusyError, UnauthorizedError, AbortError].some((known) =>
    error instanceof known
  );
  if (isClear) return error;
  const why = error.message || (error as { code?: string }).code;
  return new ConnectionError(`Cannot connect to ${hostname}:${port}: ${why}`, { cause: error });
}
