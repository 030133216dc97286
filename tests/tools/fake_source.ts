/**
 * A server that says what a test tells it to, for the sources of an import.
 *
 * @module
 */

/** A server on a free port. Use it with `await using`. */
export interface FakeSource extends AsyncDisposable {
  /** Its port. */
  readonly port: number;
}

/** Starts a server that hands its first connection to `talk`, and closes it at the end of the test. */
export function startFake(talk: (conn: Deno.Conn) => Promise<void>): FakeSource {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let conn: Deno.Conn | undefined;
  const talking = (async () => {
    conn = await listener.accept();
    await talk(conn);
  })();
  // A client that leaves early, or never comes, is no failure of the server.
  talking.catch(() => {});
  return {
    port: listener.addr.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      try {
        conn?.close();
      } catch {
        // It is closed already.
      }
      await talking.catch(() => {});
    },
  };
}

/** Writes all of a text, each character as one byte. */
export async function say(conn: Deno.Conn, latin1: string): Promise<void> {
  const bytes = Uint8Array.from(latin1, (character) => character.charCodeAt(0));
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
