/**
 * A client for many short replies.
 *
 * @module
 */

/** A client that is quick with many short replies. Throws BrokenPipe once the server is gone. */
export class Pipe implements Disposable {
  readonly #socket: Deno.TcpConn;
  readonly #buffer = new Uint8Array(262_144);
  readonly #decoder = new TextDecoder();
  #lines: string[] = [];
  #next = 0;
  #rest = "";

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<Pipe> {
    return new Pipe(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** The next line; no Promise if it has arrived, because one for each would take most of the time. */
  line(): string | Promise<string> {
    return this.#next < this.#lines.length ? this.#lines[this.#next++]! : this.#receive();
  }

  async #receive(): Promise<string> {
    do {
      const length = await this.#socket.read(this.#buffer);
      if (length === null) throw new Deno.errors.BrokenPipe();
      this.#rest += this.#decoder.decode(this.#buffer.subarray(0, length), { stream: true });
      this.#lines = this.#rest.split("\r\n");
      this.#rest = this.#lines.pop()!;
      this.#next = 0;
    } while (this.#lines.length === 0);
    return this.#lines[this.#next++]!;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
