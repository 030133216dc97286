/**
 * A client for replies by the gigabyte.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Buffer } from "node:buffer";
import { MIB } from "./process_memory.ts";
import { delay } from "./waiting.ts";

/** A client that reads only when a test says so, and compares bytes instead of making text of them. */
export class RawClient implements Disposable {
  readonly #socket: Deno.TcpConn;

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** The port at this end. */
  get port(): number {
    return (this.#socket.localAddr as Deno.NetAddr).port;
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** Reads one text so many times, pausing after each MiB if told to, and fails at the first other byte. */
  async expect(text: string, times: number, { pauseMs = 0 } = {}): Promise<void> {
    const one = new TextEncoder().encode(text);
    const repeated = new Uint8Array(one.length * Math.ceil(MIB / one.length + 1));
    for (let at = 0; at < repeated.length; at += one.length) repeated.set(one, at);
    const buffer = new Uint8Array(MIB);
    let pauseAt = MIB;
    for (let got = 0; got < one.length * times;) {
      const left = one.length * times - got;
      const length = await this.#socket.read(buffer.subarray(0, Math.min(left, MIB)));
      assert(length !== null, `the server closed the connection after ${got} bytes`);
      const from = got % one.length;
      const isSame = Buffer.compare(
        buffer.subarray(0, length),
        repeated.subarray(from, from + length),
      ) === 0;
      assert(isSame, `other bytes than expected, ${got} bytes from the start`);
      got += length;
      if (pauseMs > 0 && got >= pauseAt) {
        pauseAt += MIB;
        await delay(pauseMs);
      }
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
  }
}
