/**
 * Reads lines and counted bytes from a socket, for the protocols of other servers.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { ToolError } from "./program.ts";

/** The longest line of such a protocol, in bytes. */
const LINE_BYTES_MAX = 65_536;
/** The largest value that is taken from another server, in bytes; both have this limit themselves. */
const BLOCK_BYTES_MAX = 536_870_912;
const TIMEOUT_MS = 30_000;

/** Where another server is. */
export interface Address {
  /** What it is called in messages. */
  readonly name: string;
  /** Its name or address. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Whether to speak TLS. */
  readonly tls: boolean;
}

/** A connection to another server. Use it with `using`. */
export class StreamReader implements Disposable {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #name: string;
  #rest: Buffer = Buffer.alloc(0);
  #at = 0;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Connects. Throws ToolError. */
  static async open({ name, hostname, port, tls }: Address): Promise<StreamReader> {
    const options = { host: hostname, port };
    const socket = tls ? connectTls({ ...options, servername: hostname }) : connectTcp(options);
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once(tls ? "secureConnect" : "connect", () => resolve());
        socket.once("error", reject);
      });
    } catch (error) {
      const why = (error as Error).message;
      throw new ToolError(`Cannot connect to ${name} on ${hostname}:${port}: ${why}`);
    }
    // From here on, whoever reads gets the error.
    socket.on("error", () => {});
    return new StreamReader(socket, name);
  }

  /** Writes bytes as they are. */
  write(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  /** The next line without its end, a character for each byte. Throws ToolError. */
  async line(lineEnd = "\r\n"): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(lineEnd, this.#at);
      if (end >= 0) {
        const line = this.#rest.toString("latin1", this.#at, end);
        this.#at = end + lineEnd.length;
        return line;
      }
      if (this.#rest.length - this.#at > LINE_BYTES_MAX) throw this.wrong("a line without an end");
      await this.#more(0);
    }
  }

  /** The next bytes, and the CR LF behind them. Throws ToolError. */
  async block(length: number): Promise<Buffer> {
    if (!(length >= 0 && length <= BLOCK_BYTES_MAX)) throw this.wrong("an impossible length");
    await this.#more(length + 2);
    const block = this.#rest.subarray(this.#at, this.#at + length);
    this.#at += length + 2;
    return block;
  }

  /** The error for what this protocol does not have. */
  wrong(what: string): ToolError {
    return new ToolError(`${this.#name} sent ${what}: is it ${this.#name}?`);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** Reads until this many bytes are there; 0 is one packet more. */
  async #more(length: number): Promise<void> {
    const parts = [this.#rest.subarray(this.#at)];
    let size = parts[0]!.length;
    while (size < length || length === 0 && parts.length === 1) {
      const chunk = await this.#next();
      parts.push(chunk);
      size += chunk.length;
    }
    if (parts.length > 1) {
      this.#rest = Buffer.concat(parts);
      this.#at = 0;
    }
  }

  async #next(): Promise<Buffer> {
    let why = "it closed the connection";
    try {
      const { value, done } = await this.#chunks.next();
      if (!done) return value;
    } catch (error) {
      why = (error as Error).message;
    }
    throw new ToolError(`The connection to ${this.#name} is lost: ${why}`);
  }
}
