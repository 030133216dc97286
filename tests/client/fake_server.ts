/**
 * A server that does what a real one should not: it answers late, in part, too much, or not at all, as
 * the test says, connection by connection.
 *
 * @module
 */

const utf8 = new TextEncoder();

/** A client of a fake server, as the test sees it. */
export class FakeClient {
  readonly #socket: Deno.Conn;
  readonly #decoder = new TextDecoder();
  #received = "";

  /** Serves an accepted connection. */
  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  /**
   * Returns the next line of the client without its end, or so many characters of it, or undefined if it
   * sends no more.
   */
  async line(charactersMax = Infinity): Promise<string | undefined> {
    for (;;) {
      if (this.#received.length >= charactersMax) return this.#received.slice(0, charactersMax);
      const end = this.#received.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 2);
        return line;
      }
      const buffer = new Uint8Array(65_536);
      const length = await this.#socket.read(buffer).catch(() => null);
      if (length === null) return undefined;
      this.#received += this.#decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  }

  /** Answers the greeting of a new connection. */
  async greet(): Promise<void> {
    await this.line();
    await this.send("200-HELP [verb]\r\n200 OK\r\n");
  }

  /** Answers each line with the same text until the client leaves; returns the lines. */
  async answerAll(text: string): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      if (line === undefined) return lines;
      lines.push(line);
      await this.send(text);
    }
  }

  /** Sends text or bytes as they are, or nothing if the client is gone. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? utf8.encode(data) : data;
    try {
      for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
    } catch {
      // The client is gone, which the test sees on the other side.
    }
  }

  /** Closes the connection. */
  close(): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
  }
}

/** Serves each connection by the next script, and those after the last one by that. */
export class FakeServer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #served: Promise<void>[] = [];
  readonly #clients: FakeClient[] = [];
  readonly #accepting: Promise<void>;
  #isEnded = false;
  #ended = 0;

  /** Starts to listen. */
  constructor(...scripts: ((client: FakeClient) => Promise<void>)[]) {
    this.#accepting = this.#accept(scripts);
  }

  /** The port it listens on. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** The number of connections so far. */
  get connections(): number {
    return this.#clients.length;
  }

  /** Whether the first connections, so many of them, have ended. */
  isGone(count: number): boolean {
    return this.#ended >= count;
  }

  /** Ends it, and waits for its scripts. */
  async end(): Promise<void> {
    if (!this.#isEnded) this.#listener.close();
    this.#isEnded = true;
    for (const client of this.#clients) client.close();
    await this.#accepting;
    await Promise.all(this.#served);
  }

  async #accept(scripts: ((client: FakeClient) => Promise<void>)[]): Promise<void> {
    for (;;) {
      let socket: Deno.TcpConn;
      try {
        socket = await this.#listener.accept();
      } catch {
        return;
      }
      const client = new FakeClient(socket);
      const script = scripts[this.#clients.length] ?? scripts.at(-1)!;
      this.#clients.push(client);
      this.#served.push(
        script(client).finally(() => {
          client.close();
          this.#ended++;
        }),
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
