/**
 * A client that speaks the protocol, over a real socket.
 *
 * @module
 */

const utf8 = new TextEncoder();
/** How long a client waits for bytes, in milliseconds: long enough for a busy machine. */
const REPLY_MS_MAX = 60_000;

/** A client on a socket. Every wait is bounded. Use it with `using`. */
export class Client implements Disposable {
  readonly #socket: Deno.TcpConn;
  #received = "";

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  static async connect(port: number): Promise<Client> {
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends text or bytes as they are. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? utf8.encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** The next line of a reply without its CR LF; undefined at the end of the stream. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 2);
        return line;
      }
      if (!await this.#receive()) return undefined;
    }
  }

  /** The lines of the next reply: all but the last have a `-` after the code. */
  async reply(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      if (line === undefined) return lines;
      lines.push(line);
      if (line[3] !== "-") return lines;
    }
  }

  /** Sends a line and returns the last line of its reply. */
  async ask(line: string): Promise<string | undefined> {
    await this.send(`${line}\r\n`);
    return (await this.reply()).at(-1);
  }

  /** All that arrives until the server closes the connection. */
  async rest(): Promise<string> {
    while (await this.#receive());
    const rest = this.#received;
    this.#received = "";
    return rest;
  }

  /** Closes the client's side. */
  async finish(): Promise<void> {
    await this.#socket.closeWrite();
  }

  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
  }

  /** Reads some bytes of text; false at the end of the stream. */
  async #receive(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    const timer = setTimeout(() => this[Symbol.dispose](), REPLY_MS_MAX);
    try {
      const length = await this.#socket.read(buffer);
      if (length === null) return false;
      this.#received += this.#decoder.decode(buffer.subarray(0, length), { stream: true });
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return false;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
}
