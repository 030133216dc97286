/**
 * Requests that wait for a reply: their order, how many may wait, and what close, destroy and a signal do to them.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  AbortError,
  ClosedError,
  connect,
  ConnectionError,
  QueueFullError,
  TimeoutError,
} from "../../client/client.ts";
import { delay } from "../support/waiting.ts";
import { clientTest } from "./client_of_server.ts";
import { breakOff, errorOf, faultTest, serve } from "./fault_scripts.ts";

clientTest("requests made at once are answered in order", async (db) => {
  await db.put("n", "0");
  const counts = await Promise.all(Array.from({ length: 500 }, () => db.incr("n")));
  assertEquals(counts, Array.from({ length: 500 }, (_, i) => BigInt(i + 1)));
});

clientTest("close waits for requests in flight, and takes no more", async (_, server) => {
  const db = await connect({ port: server.port });
  const under = Promise.all(Array.from({ length: 100 }, () => db.incr("n")));
  await db.close();
  assertEquals((await under).at(-1), 100n);
  await assertRejects(() => db.get("n"), ClosedError);
  await db.close();
});

faultTest("close does not wait for a lost server when no request is waiting", [
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

faultTest("close does not wait for the replies to requests that were given up", [
  async (client) => {
    await client.greet();
    while (await client.line() !== "QUIT");
  },
], async (server) => {
  const db = await connect({ port: server.port });
  const [read, change] = [db.get("k", { timeout: 10 }), db.put("k", "v", { timeout: 10 })];
  const closed = db.close();
  assert(await errorOf(read) instanceof TimeoutError);
  assert((await errorOf(change)).mayHaveHappened);
  await closed;
  await server.end();
});

const { promise: isEnough, resolve: enough } = Promise.withResolvers<void>();
faultTest("a server that answers a request without reading it is given up", [
  async (client) => {
    await client.greet();
    await client.send(await client.line(3) === "PUT" ? "200 OK\r\n" : "");
    await isEnough;
  },
  serve,
], async (server) => {
  await using db = await connect({ port: server.port, timeout: 1_000 });
  // So much that the system can't take it all, so that what follows can't be written.
  await db.put("k", "v".repeat(32_000_000));
  const error = await errorOf(db.get("k", { timeout: 5_000 }));
  enough();
  assert(error instanceof ConnectionError, String(error));
  assertEquals(await db.get("k"), "v");
});

faultTest("destroy fails requests at once, and says which may have taken effect", [
  async (client) => {
    await client.greet();
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port });
  const [sent, read] = [errorOf(db.put("k", "v")), errorOf(db.get("k"))];
  await delay(20);
  const unsent = errorOf(db.put("k", "v"));
  db.destroy();
  assertEquals((await sent).mayHaveHappened, true);
  assertEquals((await read).mayHaveHappened, false);
  assert(await unsent instanceof ClosedError);
  await db.close();
});

faultTest("a signal aborts a request, and the error says whether it may have taken effect", [
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

faultTest("requests beyond the queue limits fail at once, and the others do not", [
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

faultTest("requests aborted while they wait make room for others", [
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

faultTest("close waits for no connection that will never be made", [breakOff], async (server) => {
  const db = await connect({ port: server.port, reconnect: false, timeout: 2_000_000_000 });
  await errorOf(db.put("k", "v"));
  const unsent = errorOf(db.put("k", "v"));
  await db.close();
  assert(await unsent instanceof ConnectionError);
});
