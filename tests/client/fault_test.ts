/**
 * The client with a server that fails: connections that break; replies that are late, incomplete,
 * endless, too many or missing. A change that may have taken effect is reported, and never sent twice.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  AbortError,
  BusyError,
  ClosedError,
  connect,
  ConnectionError,
  type KeylineError,
  LostReplyError,
  ProtocolError,
  QueueFullError,
  TimeoutError,
} from "../../client/client.ts";
import { ServerProcess, testWith } from "../support/harness.ts";
import { type FakeClient, FakeServer } from "./fake_server.ts";

type Script = (client: FakeClient) => Promise<void>;

/** Defines a test with a fake server that serves each connection by the next of the scripts. */
function faultTest(
  name: string,
  scripts: Script[],
  fn: (server: FakeServer) => Promise<void>,
): void {
  testWith(["net"], name, async () => {
    await using server = new FakeServer(...scripts);
    await fn(server);
  });
}

/** Greets, then answers everything with OK. */
const serve: Script = async (client) => {
  await client.greet();
  await client.answerAll("200 OK v\r\n");
};

/** Greets, takes one line, and hangs up. */
const breakOff: Script = async (client) => {
  await client.greet();
  await client.line();
};

/** Greets, then sends this whatever is asked, and waits for the client to go. */
function answerWith(data: string | Uint8Array): Script {
  return async (client) => {
    await client.greet();
    await client.line();
    await client.send(data);
    while (await client.line() !== undefined);
  };
}

/** What a promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<KeylineError> {
  return await promise.then(() => {
    throw new Error("it was fulfilled");
  }, (error) => error);
}

faultTest("a change whose reply is lost fails, says so, and is not sent again", [
  breakOff,
  serve,
], async (server) => {
  await using db = await connect({ port: server.port });
  const error = await errorOf(db.put("k", "v"));
  assert(error instanceof LostReplyError);
  assertEquals(error.mayHaveHappened, true);
  // The next request makes a new connection, and is the only one on it.
  assertEquals(await db.get("k"), "v");
  assertEquals(server.connections, 2);
});

const linesOfSecond: string[] = [];
faultTest(
  "a request that changes nothing is sent again, and a change only if its caller allows it",
  [
    breakOff,
    async (client) => {
      await client.greet();
      linesOfSecond.push(...await client.answerAll("200 OK 1\r\n"));
    },
  ],
  async (server) => {
    {
      await using db = await connect({ port: server.port });
      const asked = [db.get("a"), db.put("b", "v"), db.count(), db.put("c", "v", { retry: true })];
      const outcomes = await Promise.allSettled(asked);
      assertEquals(outcomes.map(({ status }) => status), [
        "fulfilled",
        "rejected",
        "fulfilled",
        "fulfilled",
      ]);
    }
    await server.end();
    assertEquals(linesOfSecond, ["GET a", "COUNT", "PUT c v", "QUIT"]);
  },
);

faultTest(
  "a request that ends every server that reads it is given up",
  [breakOff],
  async (server) => {
    await using db = await connect({ port: server.port });
    const error = await errorOf(db.get("k"));
    assert(error instanceof LostReplyError);
    assertEquals([error.mayHaveHappened, server.connections], [false, 3]);
  },
);

faultTest("without reconnection, a lost connection fails what comes after it", [
  breakOff,
], async (server) => {
  await using db = await connect({ port: server.port, reconnect: false });
  await assertRejects(() => db.get("k"), LostReplyError);
  await assertRejects(() => db.get("k"), ConnectionError);
  assertEquals(server.connections, 1);
});

for (
  const [what, data] of [
    ["what is no reply", "hello\r\n"],
    ["a redis error", "-ERR unknown command\r\n"],
    ["a code of two digits", "20 OK\r\n"],
    ["a line of nothing", "\r\n"],
    ["two codes in one reply", "200-a\r\n404 NOT FOUND\r\n"],
    ["bytes that are not UTF-8", new Uint8Array([...new TextEncoder().encode("200 OK "), 255, 10])],
  ] as const
) {
  faultTest(`${what} ends the connection with a ProtocolError`, [
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

faultTest("a reply that does not fit says whether the change may have taken effect", [
  async (client) => {
    await client.greet();
    await client.answerAll("200 OK\r\n");
  },
], async (server) => {
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
});

faultTest("a reply that nobody asked for ends the connection, and answers nothing", [
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

faultTest("a reply that comes byte by byte is the same reply", [
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

faultTest("a reply that does not come in time fails its request alone", [
  async (client) => {
    await client.greet();
    await client.line();
    const next = await client.line();
    await client.send(`200 OK late\r\n200 OK ${next}\r\n`);
    await client.answerAll("200 OK\r\n");
  },
], async (server) => {
  await using db = await connect({ port: server.port });
  const error = await errorOf(db.put("slow", "v", { timeout: 20 }));
  assert(error instanceof TimeoutError);
  assertEquals(error.mayHaveHappened, true);
  // The late reply is not taken for this one's.
  assertEquals(await db.get("other"), "GET other");
  assertEquals(server.connections, 1);
});

faultTest("a server that answers nothing is given up, and another connection made", [
  async (client) => {
    await client.greet();
    while (await client.line() !== undefined);
  },
  serve,
], async (server) => {
  await using db = await connect({ port: server.port, timeout: 100 });
  const [asked, changed] = await Promise.all([errorOf(db.get("k")), errorOf(db.put("k", "v"))]);
  assert(asked instanceof TimeoutError && changed instanceof TimeoutError);
  assertEquals([asked.mayHaveHappened, changed.mayHaveHappened], [false, true]);
  assertEquals(await db.get("k"), "v");
});

faultTest("a server that accepts and does not greet is no connection", [
  async (client) => {
    while (await client.line() !== undefined);
  },
], async (server) => {
  await assertRejects(() => connect({ port: server.port, timeout: 50 }), ConnectionError);
  const signal = AbortSignal.timeout(20);
  await assertRejects(() => connect({ port: server.port, signal }), AbortError);
  const aborted = AbortSignal.abort();
  await assertRejects(() => connect({ port: server.port, signal: aborted }), AbortError);
});

faultTest("a server that has no room says so to who connects", [
  async (client) => {
    await client.send("503 BUSY too many connections\r\n");
    await client.line();
  },
], async (server) => {
  await assertRejects(() => connect({ port: server.port }), BusyError, "too many connections");
});

faultTest("a signal aborts a request, and says whether it was sent", [
  async (client) => {
    await client.greet();
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port });
  const early = await errorOf(db.put("k", "v", { signal: AbortSignal.abort("early") }));
  assert(early instanceof AbortError);
  assertEquals([early.mayHaveHappened, early.cause], [false, "early"]);
  const controller = new AbortController();
  const unsent = errorOf(db.put("k", "v", { signal: controller.signal }));
  controller.abort();
  assertEquals((await unsent).mayHaveHappened, false);
  const other = new AbortController();
  const sent = errorOf(db.put("k", "v", { signal: other.signal }));
  const read = errorOf(db.get("k", { signal: other.signal }));
  setTimeout(() => other.abort(), 20);
  assertEquals((await sent).mayHaveHappened, true);
  assertEquals((await sent).message, "The request was aborted. The change may have taken effect");
  assertEquals((await read).mayHaveHappened, false);
  assertEquals((await read).message, "The request was aborted");
  assertEquals((await read).name, "AbortError");
  db.destroy();
  await db.close();
});

faultTest("more requests than may wait fail at once, and the others do not", [
  serve,
], async (server) => {
  await using db = await connect({ port: server.port, queueMax: 10 });
  const outcomes = await Promise.allSettled(Array.from({ length: 15 }, () => db.get("k")));
  const failed = outcomes.filter((outcome) => outcome.status === "rejected");
  assertEquals(failed.length, 5);
  assert(failed.every(({ reason }) => reason instanceof QueueFullError));
  assertEquals(await db.get("k"), "v");
  await using small = await connect({ port: server.port, queueSizeMax: 1_000 });
  const value = "v".repeat(800);
  const sizes = await Promise.allSettled([small.put("a", value), small.put("b", value)]);
  assertEquals(sizes.map(({ status }) => status), ["fulfilled", "rejected"]);
});

faultTest("requests that were aborted while they waited make room for others", [
  breakOff,
  async (client) => {
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port, queueMax: 10 });
  await errorOf(db.put("k", "v"));
  const signal = AbortSignal.timeout(20);
  const waiting = Array.from({ length: 10 }, () => errorOf(db.put("k", "v", { signal })));
  const errors = await Promise.all(waiting);
  assert(errors.every((error) => error instanceof AbortError && !error.mayHaveHappened));
  const next = errorOf(db.put("k", "v"));
  db.destroy();
  assert(await next instanceof ClosedError);
});

faultTest("close does not wait for a lost server if no request does", [
  breakOff,
  async (client) => {
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port });
  await errorOf(db.put("k", "v"));
  await server.end();
  const signal = AbortSignal.timeout(20);
  assert(await errorOf(db.put("k", "v", { signal })) instanceof AbortError);
  await db.close();
});

faultTest("destroy fails requests at once, and says what may have taken effect", [
  async (client) => {
    await client.greet();
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port });
  const [sent, read] = [errorOf(db.put("k", "v")), errorOf(db.get("k"))];
  await new Promise((resolve) => setTimeout(resolve, 20));
  const unsent = errorOf(db.put("k", "v"));
  db.destroy();
  assertEquals((await sent).mayHaveHappened, true);
  assertEquals((await read).mayHaveHappened, false);
  assert(await unsent instanceof ClosedError);
  await db.close();
});

testWith(
  ["net", "read", "write", "run", "env"],
  "requests that wait for a killed server are answered by the next one",
  async () => {
    await using first = await ServerProcess.start();
    await using db = await connect({ port: first.port });
    await db.put("n", "0");
    const { port } = first;
    await first.stop("SIGKILL");
    // Nothing listens: these can't be sent until the next server is there.
    while (await db.get("n", { timeout: 100 }).then(() => true, () => false));
    const waiting = Array.from({ length: 50 }, () => db.incr("n"));
    const args = ["--port", String(port)];
    await using second = await ServerProcess.start({ data: first.data, args });
    assertEquals((await Promise.all(waiting)).at(-1), 50n);
    assertEquals(second.port, port);
  },
);

testWith(
  ["net", "read", "write", "run", "env"],
  "no change is made twice while servers are killed under load",
  async () => {
    const kills = 3;
    await using first = await ServerProcess.start();
    let server = first;
    await using db = await connect({ port: server.port });
    let acknowledged = 0;
    let unknown = 0;
    let isDone = false;
    const load = async () => {
      while (!isDone) {
        await db.incr("n").then(() => acknowledged++, (error: KeylineError) => {
          assert(error instanceof LostReplyError && error.mayHaveHappened, String(error));
          unknown++;
        });
      }
    };
    const loads = Array.from({ length: 20 }, load);
    for (let i = 0; i < kills; i++) {
      const before = acknowledged;
      while (acknowledged < before + 500) await new Promise((resolve) => setTimeout(resolve, 10));
      await server.stop("SIGKILL");
      const args = ["--port", String(first.port)];
      server = await ServerProcess.start({ data: first.data, args });
    }
    isDone = true;
    await Promise.all(loads);
    const count = Number(await db.get("n"));
    await db.close();
    await server.stop("SIGKILL");
    assert(unknown > 0, "some replies were lost");
    assert(
      count >= acknowledged && count <= acknowledged + unknown,
      `${[count, acknowledged, unknown]}`,
    );
  },
);
