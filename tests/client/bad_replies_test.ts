/**
 * Replies that break the protocol, do not fit their request, never end, or arrive byte by byte.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, ProtocolError } from "../../client/client.ts";
import { answerWith, errorOf, faultTest, serve } from "./fault_scripts.ts";

for (
  const [what, data] of [
    ["text that is no reply", "hello\r\n"],
    ["a Redis error", "-ERR unknown command\r\n"],
    ["a two-digit code", "20 OK\r\n"],
    ["an empty line", "\r\n"],
    ["two codes in one reply", "200-a\r\n404 NOT FOUND\r\n"],
    ["bytes that are not UTF-8", new Uint8Array([...new TextEncoder().encode("200 OK "), 255, 10])],
  ] as const
) {
  faultTest(`a ProtocolError ends the connection after ${what}`, [
    answerWith(data),
    serve,
  ], async (server) => {
    await using db = await connect({ port: server.port });
    const [asked, changed] = await Promise.all([errorOf(db.get("k")), errorOf(db.put("k", "v"))]);
    assert(asked instanceof ProtocolError && changed instanceof ProtocolError);
    assertEquals([asked.mayHaveHappened, changed.mayHaveHappened], [false, true]);
    assertEquals(await db.get("k"), "v");
  });
}

faultTest(
  "the error for a reply that does not fit its request says whether the change may have taken effect",
  [
    async (client) => {
      await client.greet();
      await client.answerAll("200 OK\r\n");
    },
  ],
  async (server) => {
    await using db = await connect({ port: server.port });
    const reads = [db.get("k"), db.gets("k"), db.ttl("k"), db.count()];
    for (const error of await Promise.all(reads.map(errorOf))) {
      assert(error instanceof ProtocolError);
      assertEquals(error.mayHaveHappened, false, error.message);
    }
    const changes = [db.incr("k"), db.cas("k", { version: 1n, value: "v" })];
    for (const error of await Promise.all(changes.map(errorOf))) {
      assert(error instanceof ProtocolError && error.mayHaveHappened);
      assert(error.message.endsWith("is it Keyline? The change may have taken effect"));
    }
  },
);

faultTest("an unrequested reply ends the connection, and answers nothing", [
  answerWith("200 OK v\r\n200 OK forged\r\n"),
  serve,
], async (server) => {
  await using db = await connect({ port: server.port });
  assertEquals(await db.get("k"), "v");
  assertEquals(await db.get("k"), "v");
  assertEquals(server.connections, 2);
});

for (
  const [what, first, part] of [
    ["line", "200 OK ", "x".repeat(65_536)],
    ["reply", "200-key\r\n", "200-key\r\n".repeat(8_192)],
  ] as const
) {
  faultTest(`an endless ${what} is given up at its limit`, [
    async (client) => {
      await client.greet();
      await client.line();
      await client.send(first);
      for (let i = 0; i < 200; i++) await client.send(part);
    },
  ], async (server) => {
    await using db = await connect({ port: server.port, replyBytesMax: 1_000_000 });
    await assertRejects(() => db.get("k"), ProtocolError);
  });
}

faultTest("a reply that arrives byte by byte is the same reply", [
  async (client) => {
    await client.greet();
    await client.line();
    const bytes = new TextEncoder().encode(
      "200 OK ä€𝄞 v\r\n200-a\r\n200 OK 1\r\n404 NOT FOUND\r\n",
    );
    for (const byte of bytes) await client.send(new Uint8Array([byte]));
    await client.answerAll("200 OK\r\n");
  },
], async (server) => {
  await using db = await connect({ port: server.port });
  const [value, keys, none] = await Promise.all([db.get("a"), db.request("KEYS"), db.get("b")]);
  assertEquals([value, keys.lines, none], ["ä€𝄞 v", ["a"], undefined]);
});
