/**
 * Reads lines and counted bytes from a socket, for the protocols of other servers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { openSocket, type SocketOptions, whyNot } from "../client/socket.ts";
import { ToolError } from "./program.ts";

/** The longest line to accept, in bytes. */
const LINE_BYTES_MAX = 65_536;
/** The largest value to accept, in bytes: the limit of redis, and more than memcached has. */
const BLOCK_BYTES_MAX = 536_870_912;
const LF = 0x0a;

/** Where another server is. */
export interface Address extends SocketOptions {
  /** What it is called in messages. */
  readonly name: string;
  /** How long it may take to accept a connection or to answer, in milliseconds. */
  readonly timeout: number;
}

/** Returns the address that a URL names; `port` is the default. */
export function addressOf(
  url: URL,
  { port, timeout }: { port: number; timeout: number },
): Address {
  const scheme = url.protocol.slice(0, -1);
  const tls = scheme === "rediss";
  return {
    name: tls ? "redis" : scheme,
    hostname: url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: url.port === "" ? port : Number(url.port),
    tls,
    timeout,
  };
}

/** A connection to another server. Use it with `using`. */
export class StreamReader implements Disposable {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #name: string;
  readonly #timeout: number;
  #rest: Buffer = Buffer.alloc(0);
  #at = 0;
  /** How many bytes are missing, as far as known. */
  #wanted = 0;

  private constructor(socket: Socket, { name, timeout }: Address) {
    this.#socket = socket;
    this.#name = name;
    this.#timeout = timeout;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Connects. Throws ToolError. */
  static async open(address: Address): Promise<StreamReader> {
    const { name, hostname, port, tls, timeout } = address;
    const socket = openSocket(address);
    const late = `no answer in ${timeout / 1_000} s`;
    socket.setTimeout(timeout, () => socket.destroy(new Error(late)));
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once(tls ? "secureConnect" : "connect", () => resolve());
        socket.once("error", reject);
      });
    } catch (error) {
      const why = whyNot(error as Error);
      // A server without TLS waits for the rest of what it takes for a line.
      const hint = tls && why === late ? "; does it speak TLS?" : "";
      throw new ToolError(`Cannot connect to ${name} on ${hostname}:${port}: ${why}${hint}`);
    }
    // From now on, the error goes to whoever reads.
    socket.on("error", () => {});
    socket.setTimeout(0);
    return new StreamReader(socket, address);
  }

  /** Writes bytes, each given as one character. */
  write(bytes: string): void {
    if (bytes !== "") this.#socket.write(Buffer.from(bytes, "latin1"));
  }

  /** Reads the next line without its end, each byte as one character. Throws ToolError. */
  line(lineEnd: "\n" | "\r\n" = "\r\n"): Promise<string> {
    return this.read(() => this.lineNow(lineEnd));
  }

  /** Reads the next bytes and the CR LF after them. Throws ToolError. */
  block(length: number): Promise<Buffer> {
    return this.read(() => this.blockNow(length));
  }

  /**
   * Returns what `parse` makes of the received bytes by `lineNow` and `blockNow`. If it returns
   * undefined, it is called again from the same position once there are more. Throws ToolError.
   */
  async read<Result>(parse: () => Result | undefined): Promise<Result> {
    for (;;) {
      const start = this.#at;
      this.#wanted = 0;
      const result = parse();
      if (result !== undefined) return result;
      this.#at = start;
      await this.#more(this.#wanted);
    }
  }

  /** Returns the next line like `line`, or undefined if it is incomplete. */
  lineNow(lineEnd: "\n" | "\r\n" = "\r\n"): string | undefined {
    const end = this.#rest.indexOf(LF, this.#at);
    if (end < 0) {
      if (this.#rest.length - this.#at > LINE_BYTES_MAX) throw this.wrong("a line without an end");
      return undefined;
    }
    const line = this.#rest.toString("latin1", this.#at, end + 1 - lineEnd.length);
    this.#at = end + 1;
    return line;
  }

  /** Returns the next bytes like `block`, or undefined if they are incomplete. */
  blockNow(length: number): Buffer | undefined {
    if (!(length >= 0 && length <= BLOCK_BYTES_MAX)) throw this.wrong("an impossible length");
    if (this.#rest.length < this.#at + length + 2) {
      this.#wanted = length + 2 - (this.#rest.length - this.#at);
      return undefined;
    }
    const block = this.#rest.subarray(this.#at, this.#at + length);
    this.#at += length + 2;
    return block;
  }

  /** Returns the error for something that is not of this protocol. */
  wrong(what: string): ToolError {
    return new ToolError(`${this.#name} sent ${what}: is it ${this.#name}?`);
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** Waits for at least this many more bytes, and at least one packet. */
  async #more(length: number): Promise<void> {
    const parts = [this.#rest.subarray(this.#at)];
    for (let size = 0; size < length || parts.length === 1;) {
      const chunk = await this.#next();
      parts.push(chunk);
      size += chunk.length;
    }
    this.#rest = Buffer.concat(parts);
    this.#at = 0;
  }

  /** Waits for a packet. Only now is silence the server's: between two calls, nobody reads it. */
  async #next(): Promise<Buffer> {
    let why = "it closed the connection";
    this.#socket.setTimeout(this.#timeout);
    try {
      const { value, done } = await this.#chunks.next();
      if (!done) return value;
    } catch (error) {
      why = (error as Error).message;
    } finally {
      this.#socket.setTimeout(0);
    }
    throw new ToolError(`The connection to ${this.#name} is lost: ${why}`);
  }
}
