/**
 * Connections that break, and replies that are late or never come: the client reconnects, reports a change that may
 * have taken effect, and never makes one twice.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, ConnectionError, LostReplyError, TimeoutError } from "../../client/client.ts";
import { delay } from "../support/waiting.ts";
import { breakOff, errorOf, faultTest, serve } from "./fault_scripts.ts";

faultTest("a change whose reply is lost fails with LostReplyError, and is not sent again", [
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
  "a read is sent again, and a change only if its caller allows it",
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
  "a request is given up when every server that reads it hangs up",
  [breakOff],
  async (server) => {
    await using db = await connect({ port: server.port });
    const error = await errorOf(db.get("k"));
    assert(error instanceof LostReplyError);
    assertEquals([error.mayHaveHappened, server.connections], [false, 3]);
  },
);

faultTest("without reconnection, every request after a lost connection fails", [
  breakOff,
], async (server) => {
  await using db = await connect({ port: server.port, reconnect: false });
  await assertRejects(() => db.get("k"), LostReplyError);
  await assertRejects(() => db.get("k"), ConnectionError);
  assertEquals(server.connections, 1);
});

faultTest("a late reply fails its own request alone", [
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

faultTest("a silent server is given up, and the next request makes a new connection", [
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

faultTest("a request that comes while the client connects in vain is given up in time", [
  breakOff,
  async (client) => {
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port, timeout: 100 });
  await errorOf(db.put("k", "v"));
  assert(await errorOf(db.get("k", { timeout: 10 })) instanceof TimeoutError);
  await delay(30);
  const error = await errorOf(db.get("k", { timeout: 5_000 }));
  db.destroy();
  assert(error instanceof ConnectionError, String(error));
});
