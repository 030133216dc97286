/**
 * Reads lines and counted bytes from a socket, for the protocols of other servers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { pipeline, Transform } from "node:stream";
import { openSocket, type SocketOptions, whyNot } from "../client/socket.ts";
import { ToolError } from "./program.ts";

/** The longest line to accept, in bytes. */
const LINE_BYTES_MAX = 65_536;
/**
 * The largest block to accept, in bytes: the longest line that a server can be set to take, and a little
 * more, because memcached also counts the rest of an item.
 */
export const BLOCK_BYTES_MAX = 67_109_888;
const [LF, CR] = [0x0a, 0x0d];

/** Where another server is. */
export interface ServerAddress extends SocketOptions {
  /** What it is called in messages. */
  readonly name: string;
  /** How long it may take to accept a connection or to answer, in milliseconds. */
  readonly timeout: number;
  /** Whether to read everything it sends at once and hold it until needed, so that it never waits. */
  readonly isReadAhead?: boolean;
}

/** Returns the address that a URL names; `port` is the default. */
export function addressOf(
  url: URL,
  { port, timeout }: { port: number; timeout: number },
): ServerAddress {
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

  private constructor(socket: Socket, { name, timeout, isReadAhead = false }: ServerAddress) {
    this.#socket = socket;
    this.#name = name;
    this.#timeout = timeout;
    const source = isReadAhead ? readAhead(socket) : socket;
    this.#chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Connects. Throws ToolError. */
  static async open(address: ServerAddress): Promise<StreamReader> {
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
    // From now on, the error goes to the reader.
    socket.on("error", () => {});
    socket.setTimeout(0);
    return new StreamReader(socket, address);
  }

  /** Writes bytes, each given as one character. */
  write(bytes: string): void {
    if (bytes !== "") this.#socket.write(Buffer.from(bytes, "latin1"));
  }

  /** Reads the next line without its LF or CR LF, each byte as one character. Throws ToolError. */
  async line(): Promise<string> {
    let end: number;
    while ((end = this.#rest.indexOf(LF, this.#at)) < 0) {
      if (this.#rest.length - this.#at > LINE_BYTES_MAX) throw this.wrong("a line without an end");
      await this.#more(1);
    }
    const start = this.#at;
    this.#at = end + 1;
    return this.#rest.toString("latin1", start, this.#rest[end - 1] === CR ? end - 1 : end);
  }

  /** Reads the next bytes and the CR LF after them. Throws ToolError. */
  async block(length: number): Promise<Buffer> {
    if (!(length >= 0 && length <= BLOCK_BYTES_MAX)) throw this.wrong("an impossible length");
    const missing = this.#at + length + 2 - this.#rest.length;
    if (missing > 0) await this.#more(missing);
    const end = this.#at + length;
    const block = this.#rest.subarray(this.#at, end);
    this.#at = end + 2;
    if (this.#rest[end] === CR && this.#rest[end + 1] === LF) return block;
    throw this.wrong(`a value that is not ${length} bytes long`);
  }

  /** Returns the error for something that is not of this protocol. */
  wrong(what: string): ToolError {
    return new ToolError(`${this.#name} sent ${what}: is it ${this.#name}?`);
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** Waits for at least this many more bytes. */
  async #more(length: number): Promise<void> {
    const parts = [this.#rest.subarray(this.#at)];
    for (let size = 0; size < length;) {
      const chunk = await this.#next();
      parts.push(chunk);
      size += chunk.length;
    }
    this.#rest = Buffer.concat(parts);
    this.#at = 0;
  }

  /** Waits for a packet. Silence counts only here, because nothing is read between calls. */
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

/** Returns a stream that buffers everything from a socket, without a bound. */
function readAhead(socket: Socket): Transform {
  const ahead = new Transform({
    highWaterMark: Number.MAX_SAFE_INTEGER,
    // A packet may be a small part of a large block of memory.
    transform: (packet: Buffer, _encoding, done) => done(null, Buffer.from(packet)),
  });
  // An error goes to the reader.
  return pipeline(socket, ahead, () => {});
}
