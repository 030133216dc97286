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
const LF = 0x0a;

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
  /** How many bytes are missing, as far as is known. */
  #wanted = 0;

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

  /** Writes bytes, for each of which a character stands. */
  write(bytes: string): void {
    if (bytes !== "") this.#socket.write(Buffer.from(bytes, "latin1"));
  }

  /** The next line without its end, a character for each byte. Throws ToolError. */
  line(lineEnd: "\n" | "\r\n" = "\r\n"): Promise<string> {
    return this.read(() => this.lineNow(lineEnd));
  }

  /** The next bytes, and the CR LF behind them. Throws ToolError. */
  block(length: number): Promise<Buffer> {
    return this.read(() => this.blockNow(length));
  }

  /**
   * What `parse` makes of the bytes that are there, by `lineNow` and `blockNow`. Where it returns
   * undefined, it is called again from the same place when there are more. Throws ToolError.
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

  /** As `line`, but undefined where the line is not there yet. */
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

  /** As `block`, but undefined where not all of it is there yet. */
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

  /** The error for what this protocol does not have. */
  wrong(what: string): ToolError {
    return new ToolError(`${this.#name} sent ${what}: is it ${this.#name}?`);
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** Reads at least this many bytes more, and at least one packet. */
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
