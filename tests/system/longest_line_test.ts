/**
 * The longest line that can be set: it is stored or answered with 500, whatever it is made of, and the
 * server goes on.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { runServer, ServerProcess, testServer } from "../support/harness.ts";

const utf8 = new TextEncoder();
/** What takes most room in the table, in memory, or on its way. */
const CHARACTERS = ["\t", "\u20ac", "\u{1f600}"];

for (const [where, flags] of [["in memory", ["--memory"]], ["on disk", []]] as const) {
  testServer(`the longest line is stored or answered 500, ${where}`, async () => {
    const bytesMax = await longestLine();
    await using server = await ServerProcess.start({
      args: [...flags, "--max-line", String(bytesMax)],
    });
    using other = await server.connect();
    assertEquals(await other.ask("PUT small v"), "200 OK");
    for (const character of CHARACTERS) {
      const value = filledWith(utf8.encode(character), bytesMax - "PUT k ".length);
      using client = await Peer.connect(server.port);
      const reply = await client.ask("PUT k ", value);
      const isStored = reply === "200 OK";
      assert(isStored || reply.startsWith("500 ERROR "), `${JSON.stringify(character)}: ${reply}`);
      if (isStored) await client.expectValue(value);
      assertEquals(await other.ask("GET small"), "200 OK v");
      await other.ask("DELETE k");
    }
  });
}

/** The most that `--max-line` takes, as it says itself, in bytes. */
async function longestLine(): Promise<number> {
  const { stderr } = await runServer(["--memory", "--max-line", "9999999999"]);
  return Number(/ to (\d+)/.exec(stderr)?.[1]);
}

/** As many whole characters as fit in so many bytes. */
function filledWith(character: Uint8Array, bytesMax: number): Uint8Array {
  const bytes = new Uint8Array(bytesMax - bytesMax % character.length);
  bytes.set(character);
  // Each copy doubles the text.
  for (let at = character.length; at < bytes.length; at *= 2) bytes.copyWithin(at, 0, at);
  return bytes;
}

/** A client that handles bytes, because a text of so many takes too long. */
class Peer implements Disposable {
  readonly #socket: Deno.TcpConn;

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<Peer> {
    return new Peer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends a line that ends in these bytes; returns the reply, or nothing if the server exited. */
  async ask(begin: string, end: Uint8Array): Promise<string> {
    try {
      for (const bytes of [utf8.encode(begin), end, utf8.encode("\n")]) await this.#send(bytes);
      const buffer = new Uint8Array(1_024);
      const length = await this.#socket.read(buffer);
      return new TextDecoder().decode(buffer.subarray(0, length ?? 0)).trimEnd();
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return "";
      throw error;
    }
  }

  /** Fails where the value of `k` is another one. */
  async expectValue(value: Uint8Array): Promise<void> {
    await this.#send(utf8.encode("GET k\n"));
    const expected = [utf8.encode("200 OK "), value, utf8.encode("\r\n")];
    for (const bytes of expected) {
      const got = new Uint8Array(bytes.length);
      for (let at = 0; at < got.length;) {
        const length = await this.#socket.read(got.subarray(at));
        assert(length !== null, "the server closed the connection");
        at += length;
      }
      assertEquals(Buffer.compare(got, bytes), 0);
    }
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
