/**
 * One connection to a server, from the handshake to its end. When it is lost, `pipeline.ts` opens another.
 *
 * @module
 */

import type { Socket } from "node:net";
import { clearTimeout, setTimeout } from "node:timers";
import { onAbort } from "./aborting.ts";
import { defer } from "./deferred.ts";
import {
  AbortError,
  ArgumentError,
  BusyError,
  ConnectionError,
  errorOf,
  type KeylineError,
  ProtocolError,
  UnauthorizedError,
} from "./errors.ts";
import { faultOfValue } from "./line.ts";
import type { ClientSettings } from "./options.ts";
import { type Reply, ReplyReader, type ReplySink } from "./reply_reader.ts";
import { openSocket, whyNot } from "./socket.ts";

/** Receives what arrives on a link. */
export interface LinkOwner extends ReplySink {
  /** Whether a reply may arrive. */
  readonly isExpecting: boolean;
  /** The link can take more again. */
  onDrain(): void;
  /** The link is lost, for this reason. Called once. */
  onDown(error: Error): void;
}

/**
 * The first line of each connection, which every server answers and which changes nothing. The answer shows
 * that the server is Keyline. Besides, a first line that ends in `HTTP/1.1`, as a value may, would be taken
 * for HTTP and refused.
 */
const GREETING = "HELP HELP\r\n";
/** The reason given when the server has closed the connection. */
const CLOSED = "the server closed the connection";
/** How long the server may take to close the connection after QUIT, in milliseconds. */
const END_MS_MAX = 1_000;
/** How long a connection may be silent before the system probes it, in milliseconds. */
const KEEP_ALIVE_MS = 60_000;

/** A connection on which the server has answered the greeting. */
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
        // Its other half would be taken for the answer to the next request.
        if (reader.isInReply && !this.#owner.isExpecting) throw unasked();
      } catch (error) {
        this.#down(error as Error);
      }
    });
    socket.on("drain", () => {
      if (!this.#isDown) this.#owner.onDrain();
    });
    socket.on("error", (error: Error) => this.#down(error));
    socket.on("end", () => this.#down(new Error(CLOSED)));
    socket.on("close", () => this.#down(new Error("the connection is closed")));
  }

  /**
   * Connects, greets, and gives the password. Throws ArgumentError, ConnectionError, BusyError,
   * UnauthorizedError or AbortError.
   */
  static async open(settings: ClientSettings, signal?: AbortSignal): Promise<Link> {
    const greeting = GREETING + authLine(settings.password);
    if (signal?.aborted) throw abortError(signal);
    const done = defer<void>();
    // The first failure says why; nothing listens for a later one.
    done.promise.catch(() => {});
    const countMax = settings.password === undefined ? 1 : 2;
    let count = 0;
    let whyDown: Error | undefined;
    const take = (reply: Reply) => {
      if (++count > countMax) throw unasked();
      const fault = faultOfGreeting(reply, count);
      if (fault !== undefined) done.reject(fault);
      else if (count === countMax) done.resolve();
    };
    let socket: Socket;
    try {
      socket = openSocket(settings);
    } catch (error) {
      // A certificate that is none, for example.
      throw describe(error as Error, settings);
    }
    const link = new Link(socket, {
      get isExpecting() {
        return count < countMax;
      },
      onOk: () => take({ code: 200, text: "OK", lines: [] }),
      onReply: take,
      onDrain() {},
      onDown(error) {
        whyDown = error;
        done.reject(error);
      },
    }, settings.replyBytesMax);
    const late = () => done.reject(new Error(`no answer in ${settings.timeout} ms`));
    const timer = setTimeout(late, settings.timeout);
    const abort = () => done.reject(abortError(signal!));
    const stopListening = signal && onAbort(signal, abort);
    socket.once(settings.tls ? "secureConnect" : "connect", () => socket.write(greeting));
    try {
      await done.promise;
      // More may have come with the last reply.
      if (whyDown !== undefined) throw whyDown;
      return link;
    } catch (error) {
      link.destroy();
      throw describe(error as Error, settings);
    } finally {
      clearTimeout(timer);
      stopListening?.();
    }
  }

  /** Whether the connection is lost or closed. */
  get isDown(): boolean {
    return this.#isDown;
  }

  /** Makes `owner` the receiver of what arrives from now on. */
  attach(owner: LinkOwner): void {
    this.#owner = owner;
  }

  /** Writes whole lines. Returns false if the owner is to wait for `onDrain` before it writes more. */
  write(lines: string): boolean {
    return this.#socket.write(lines, "utf8");
  }

  /** Sends QUIT, and waits until the connection is closed. */
  async end(): Promise<void> {
    this.#isDown = true;
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    const timer = setTimeout(() => this.#socket.destroy(), END_MS_MAX);
    this.#socket.end("QUIT\r\n");
    await closed;
    clearTimeout(timer);
  }

  /** Closes the connection at once, without telling the owner. */
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

/** Returns the error for an aborted signal. */
export function abortError({ reason }: AbortSignal): AbortError {
  return new AbortError("The request was aborted", { cause: reason, mayHaveHappened: false });
}

/** Returns the error for a reply that no request waits for. */
export function unasked(): ProtocolError {
  return new ProtocolError("The server sent a reply to no request", { mayHaveHappened: false });
}

function authLine(password: string | undefined): string {
  if (password === undefined) return "";
  const fault = faultOfValue(password);
  if (fault !== undefined) throw new ArgumentError(`Cannot send the password: ${fault}`);
  return `AUTH ${password}\r\n`;
}

/** What is wrong with the answer to the greeting, or to AUTH, which comes second. */
function faultOfGreeting({ code, text }: Reply, count: number): KeylineError | undefined {
  if (code === 503) return new BusyError(code, text);
  // HELP may be disabled, so the greeting's code does not matter.
  return count === 2 && code !== 200 ? errorOf(code, text) : undefined;
}

/** Turns the reason why a connection could not be made into an error that says what to do. */
function describe(error: Error, { hostname, port, tls }: ClientSettings): Error {
  const isClear = [BusyError, UnauthorizedError, AbortError].some((known) =>
    error instanceof known
  );
  if (isClear) return error;
  // A server that waits for a TLS handshake takes our greeting for a broken one.
  const hint = !tls && error.message === CLOSED ? "; it may want TLS" : "";
  return new ConnectionError(`Cannot connect to ${hostname}:${port}: ${whyNot(error)}${hint}`, {
    cause: error,
  });
}
