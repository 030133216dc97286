/**
 * Replies that break the protocol, do not fit their request, never end, or arrive byte by byte.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Client, connect, ConnectionError, ProtocolError } from "../../client/client.ts";
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

faultTest(
  "a reply that does not fit its request ends the connection: those after it are not trusted",
  [
    async (client) => {
      await client.greet();
      for (let i = 0; i < 3; i++) await client.line();
      await client.send("200 OK v\r\n200 OK\r\n200 OK v\r\n");
      while (await client.line() !== undefined);
    },
    serve,
  ],
  async (server) => {
    await using db = await connect({ port: server.port });
    const [count, put, get] = [
      errorOf(db.count()),
      errorOf(db.put("k", "v")),
      errorOf(db.get("k")),
    ];
    for (const error of await Promise.all([count, put, get])) {
      assert(error instanceof ProtocolError);
    }
    assertEquals((await put).mayHaveHappened, true);
    assertEquals(await db.get("k"), "v");
    assertEquals(server.connections, 2);
  },
);

for (
  const [what, data] of [
    ["a reply", "200 OK\r\n200 OK forged\r\n"],
    ["half a reply", "200 OK\r\n200 OK for"],
    ["the first line of a reply", "200 OK\r\n200-for\r\n"],
  ] as const
) {
  faultTest(`connect fails if ${what} to no request follows the greeting's`, [
    async (client) => {
      await client.line();
      await client.send(data);
      await client.line();
      await client.send("ged\r\n200 OK v\r\n");
    },
  ], async (server) => {
    await assertRejects(() => connect({ port: server.port }), ConnectionError, "to no request");
  });
}

faultTest("half a reply to no request ends the connection, and begins no answer", [
  async (client) => {
    await client.greet();
    await client.line();
    await client.send("200 OK v\r\n200 OK for");
    if (await client.line() === undefined) return;
    await client.send("ged\r\n200 OK v\r\n");
    await client.line();
  },
  serve,
], async (server) => {
  await using db = await connect({ port: server.port });
  assertEquals(await db.get("k"), "v");
  assertEquals(await db.get("k"), "v");
  assertEquals(server.connections, 2);
});

const digits = "9".repeat(400);
for (
  const [call, ask, texts] of [
    ["gets", (db) => db.gets("k"), ["OK 55", "OK 5 ", "OK  v", "OK five v", `OK ${digits} v`]],
    ["ttl", (db) => db.ttl("k"), ["OK ", "OK never", "OK -1", `OK ${digits}`, "OK 1.2.3"]],
    ["count", (db) => db.count(), ["OK ", "OK 1.5", "OK -1", `OK ${digits}`]],
    ["get", (db) => db.get("k"), ["OK", "OK "]],
    ["incr", (db) => db.incr("k"), ["OK ", "OK 1.5", "OK -", `OK ${digits}`]],
    ["cas", (db) => db.cas("k", { version: 1n, value: "v" }), ["OK", "OK 1 v", `OK ${digits}`]],
  ] as [string, (db: Client) => Promise<unknown>, string[]][]
) {
  faultTest(`${call} returns nothing that its reply does not say`, [
    async (client) => {
      await client.greet();
      for (const text of texts) {
        await client.line();
        await client.send(`200 ${text}\r\n`);
      }
      await client.line();
    },
  ], async (server) => {
    await using db = await connect({ port: server.port });
    for (const text of texts) {
      const error = await ask(db).then((result) => result, (error) => error);
      assert(error instanceof ProtocolError, `${text}: ${error}`);
    }
  });
}

faultTest("statistics without a value are a ProtocolError", [
  answerWith("200-keys 1\r\n200-uptime\r\n200 OK\r\n"),
], async (server) => {
  await using db = await connect({ port: server.port });
  await assertRejects(() => db.stats(), ProtocolError);
});

for (
  const [what, replies] of [
    ["never goes on", ["200-a\r\n200-b\r\n200 OK 2 more\r\n", "200-b\r\n200 OK 1 more\r\n"]],
    ["goes back", ["200-a\r\n200-b\r\n200 OK 2 more\r\n", "200-a\r\n200 OK 1 more\r\n"]],
    ["lists fewer keys than it says", ["200-a\r\n200 OK 2\r\n"]],
    ["does not say how many there are", ["200-a\r\n200 OK\r\n"]],
    ["is no list", ["200 OK v\r\n"]],
  ] as const
) {
  faultTest(`a list of keys that ${what} is a ProtocolError`, [
    async (client) => {
      await client.greet();
      for (let i = 0; await client.line() !== undefined; i++) {
        await client.send(replies[i] ?? replies.at(-1)!);
      }
    },
  ], async (server) => {
    await using db = await connect({ port: server.port });
    const listing = async () => {
      let count = 0;
      for await (const _ of db.keys()) assert(++count < 100, "the list does not end");
    };
    await assertRejects(listing, ProtocolError);
  });
}

const asked: (string | undefined)[] = [];
faultTest("a page without a key is not the last one if there are more", [
  async (client) => {
    await client.greet();
    const pages = [
      "200-a\r\n200 OK 1 more\r\n",
      "200 OK 0 more\r\n",
      "200-\u{ffff}\r\n200 OK 1 more\r\n",
    ];
    for (const page of [...pages, "200-\u{10000}\r\n200 OK 1\r\n"]) {
      asked.push(await client.line());
      await client.send(page);
    }
    await client.line();
  },
], async (server) => {
  await using db = await connect({ port: server.port });
  assertEquals(await Array.fromAsync(db.keys()), ["a", "\u{ffff}", "\u{10000}"]);
  assertEquals(asked, ["KEYS *", "KEYS * a", "KEYS * a", "KEYS * \u{ffff}"]);
});
