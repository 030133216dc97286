/**
 * getMany and putMany where an entry is bad, the iterator throws, or the queue is short.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ArgumentError,
  type Client,
  connect,
  ConnectionError,
  QueueFullError,
} from "../../client/client.ts";
import { delay } from "../support/waiting.ts";
import { breakOff, errorOf, faultTest, serve } from "./fault_scripts.ts";

type Entry = readonly [key: string, value: string];

/** Counts the rejections that nobody handled while `fn` runs; by itself, one would end the process. */
async function unhandled(fn: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const onUnhandled = (event: Event) => {
    event.preventDefault();
    count++;
  };
  addEventListener("unhandledrejection", onUnhandled);
  try {
    await fn();
    await delay(0);
    return count;
  } finally {
    removeEventListener("unhandledrejection", onUnhandled);
  }
}

class Broken extends Error {}

function* entriesThatThrow(first: Entry): Generator<Entry> {
  yield first;
  throw new Broken("no more");
}

function* keysThatThrow(first: string): Generator<string> {
  yield first;
  throw new Broken("no more");
}

faultTest("an iterator that throws fails the call, and leaves no rejection behind", [
  serve,
], async (server) => {
  await using db = await connect({ port: server.port });
  const count = await unhandled(async () => {
    await assertRejects(() => db.putMany(entriesThatThrow(["no good", "v"])), Broken);
    await assertRejects(() => db.getMany(keysThatThrow("no good")), Broken);
  });
  assertEquals(count, 0);
});

faultTest("an iterator that throws fails the call once what was sent is answered", [
  serve,
], async (server) => {
  const db = await connect({ port: server.port });
  let isAnswered = false;
  const put = db.put.bind(db);
  db.put = (...args) => put(...args).then(() => void (isAnswered = true));
  await assertRejects(() => db.putMany(entriesThatThrow(["k", "v"])), Broken);
  assert(isAnswered);
  await db.close();
});

faultTest("a bad argument is an ArgumentError, and leaves no rejection behind", [
  serve,
], async (server) => {
  await using db = await connect({ port: server.port });
  const bad: [string, (db: Client) => Promise<unknown>][] = [
    ["a value", (db) => db.putMany([["no good", "v"], ["k", undefined as unknown as string]])],
    ["a key", (db) => db.putMany([["no good", "v"], [null as unknown as string, "v"]])],
    ["an entry", (db) => db.putMany([["no good", "v"], undefined as unknown as Entry])],
    ["entries", (db) => db.putMany(5 as unknown as Entry[])],
    ["a key to get", (db) => db.getMany(["no good", 5 as unknown as string])],
    ["keys", (db) => db.getMany(undefined as unknown as string[])],
  ];
  for (const [what, call] of bad) {
    let error: unknown;
    const count = await unhandled(async () => error = await errorOf(call(db)));
    assertEquals(count, 0, what);
    assert(error instanceof ArgumentError, `${what}: ${error}`);
  }
});

faultTest("getMany and putMany stay within a queue of any size", [serve], async (server) => {
  const entries = Array.from({ length: 50 }, (_, i) => [`k${i}`, "v".repeat(10 + i)] as const);
  for (
    const limits of [{ queueMax: 1 }, { queueMax: 7 }, { queueSizeMax: 1 }, { queueSizeMax: 150 }]
  ) {
    await using db = await connect({ port: server.port, ...limits });
    await db.putMany(entries);
    await db.putMany(entries, { ttl: 5 });
    assertEquals((await db.getMany(entries.map(([key]) => key))).length, 50);
  }
});

faultTest("getMany and putMany give up once the queue is full of others' requests", [
  breakOff,
  async (client) => {
    while (await client.line() !== undefined);
  },
], async (server) => {
  const db = await connect({ port: server.port, queueMax: 2 });
  await errorOf(db.put("k", "v"));
  const others = [errorOf(db.get("a")), errorOf(db.get("b"))];
  await assertRejects(() => db.getMany(["c"]), QueueFullError);
  db.destroy();
  for (const other of others) assert(!(await other instanceof ConnectionError));
});
