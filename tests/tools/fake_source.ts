/**
 * A server that says what a test tells it to, for the sources of an import.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** A server on a free port. Use it with `await using`. */
export interface FakeSource extends AsyncDisposable {
  /** Its port. */
  readonly port: number;
}

/**
 * Starts a server that hands each connection to `talk`, with its number counted from 0, and closes them all
 * at the end of the test.
 */
export function startFake(talk: (conn: Deno.Conn, number: number) => Promise<void>): FakeSource {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns: Deno.Conn[] = [];
  const talks: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      // A client that leaves early is no failure of the server.
      talks.push(talk(conn, conns.length).catch(() => {}));
      conns.push(conn);
    }
  })();
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const conn of conns) conn.close();
      await Promise.all(talks);
    },
  };
}

/** Writes all of a text, each character as one byte. */
export async function say(conn: Deno.Conn, latin1: string): Promise<void> {
  const bytes = Buffer.from(latin1, "latin1");
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** Reads until the bytes so far contain a text. */
export async function hear(conn: Deno.Conn, text: string): Promise<void> {
  const buffer = new Uint8Array(65_536);
  for (let heard = ""; !heard.includes(text);) {
    const length = await conn.read(buffer);
    if (length === null) throw new Error(`The client left before it said ${text}`);
    heard += new TextDecoder("latin1").decode(buffer.subarray(0, length));
  }
}
