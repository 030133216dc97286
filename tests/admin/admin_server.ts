/**
 * A server with its admin port, for the tests of this folder.
 *
 * @module
 */

import { type ServerOptions, ServerProcess } from "../support/harness.ts";

/** A server, and the way to its admin port. Use it with `await using`. */
export class AdminServer implements AsyncDisposable {
  readonly process: ServerProcess;
  /** The address of the live page, with a slash at its end. */
  readonly url: string;

  private constructor(process: ServerProcess, url: string) {
    this.process = process;
    this.url = url;
  }

  /** Starts a server with `--admin 0`. */
  static async start(options: ServerOptions = {}): Promise<AdminServer> {
    const args = ["--admin", "0", ...options.args ?? []];
    const process = await ServerProcess.start({ ...options, args });
    const url = await eventually(() => /^See it run: (\S+)$/m.exec(process.printed)?.[1]);
    return new AdminServer(process, url);
  }

  /** The admin port. */
  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** The status and the body of what a path answers. */
  async get(path: string, init: RequestInit = {}): Promise<{ status: number; body: string }> {
    const response = await fetch(this.url + path, { redirect: "error", ...init });
    return { status: response.status, body: await response.text() };
  }

  /** Sends bytes as they are, and returns what comes until the server closes. */
  async raw(request: string): Promise<string> {
    using socket = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    await socket.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(65_536);
    let text = "";
    try {
      for (let length; (length = await socket.read(buffer)) !== null;) {
        text += new TextDecoder().decode(buffer.subarray(0, length));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    return text;
  }

  /** The status that a request with these headers gets; fetch would set some of them itself. */
  async statusFor(path: string, headers: Record<string, string>): Promise<number> {
    const lines = Object.entries({ connection: "close", ...headers }).map(([name, value]) =>
      `${name}: ${value}\r\n`
    );
    const answer = await this.raw(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    return Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

/** Waits until a function gives something; throws after half a minute. */
export async function eventually<Value>(
  look: () => Value | undefined | Promise<Value | undefined>,
) {
  for (let i = 0; i < 600; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`It does not come: ${look}`);
}
