/**
 * Import from a memcached with many keys, with few abilities, or that means harm.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemcachedSource } from "../../tools/memcached_source.ts";
import { ToolError } from "../../tools/program.ts";
import { testServer, testWithProgram } from "../support/harness.ts";
import { hear, say, startFake } from "./fake_source.ts";
import { runMemcached, send } from "./other_server.ts";

/** What it answers to a question, where it does not answer as it should. */
interface Answers {
  readonly stats?: string;
  readonly dump?: string;
  readonly get?: string;
}

const WRONG: Record<string, Answers> = {
  "statistics without an end": { stats: "STAT a b\r\n".repeat(20_000) },
  "statistics that are none": { stats: "hello\r\n" },
  "a value again and again": { get: "VALUE k 0 1\r\nv\r\n".repeat(2) },
  "a value that nobody asked for": { get: "VALUE other 0 1\r\nv\r\n" },
  "a value that is longer than it says": { get: "VALUE k 0 1\r\nvv\r\nEND\r\n" },
  "a value that is too long for anything": { get: "VALUE k 0 99999999999\r\n" },
};

const NEVER = new AbortController().signal;

testWithProgram("memcached", "no key is passed over while others are read", async () => {
  await using memcached = await runMemcached();
  const count = 200_000;
  const sets = Array.from({ length: count }, (_, i) => `set key:${i} 0 0 1 noreply\r\nv\r\n`);
  await send(memcached.port, { text: `${sets.join("")}version\r\n`, lines: 1 });
  const url = new URL(`memcached://127.0.0.1:${memcached.port}`);
  const keys = new Set<string | undefined>();
  for await (const { items } of new MemcachedSource(url, { timeout: 10_000 }).batches(NEVER)) {
    for (const { entry } of items) keys.add(entry?.key);
  }
  assertEquals(keys.size, count);
});

testServer("a memcached that can't list its hash table lists what it can", async () => {
  const asked: string[] = [];
  await using memcached = startFake(async (conn, number) => {
    if (number === 0) {
      await hear(conn, "metadump hash\r\n");
      asked.push("hash");
      await say(conn, "BADCLASS invalid class id\r\n");
      await hear(conn, "metadump all\r\n");
      asked.push("all");
      await say(conn, "key=k exp=-1 la=1 cas=1 fetch=no cls=1 size=65\nEND\r\n");
    } else {
      await hear(conn, "stats\r\n");
      await say(conn, "END\r\n");
      await hear(conn, "get k\r\n");
      await say(conn, "VALUE k 0 1\r\nv\r\nEND\r\n");
    }
    await hear(conn, "more than it says");
  });
  const url = new URL(`memcached://127.0.0.1:${memcached.port}`);
  const batches = await Array.fromAsync(
    new MemcachedSource(url, { timeout: 2_000 }).batches(NEVER),
  );
  assertEquals(asked, ["hash", "all"]);
  assertEquals(batches.flatMap(({ items }) => items.map(({ entry }) => entry?.key)), ["k"]);
});

for (const [what, { stats, dump, get }] of Object.entries(WRONG)) {
  testServer(`a memcached that sends ${what} is reported`, async () => {
    await using memcached = startFake(async (conn, number) => {
      if (number === 0) {
        await hear(conn, "metadump hash\r\n");
        await say(conn, dump ?? "key=k exp=-1 la=1 cas=1 fetch=no cls=1 size=65\nEND\r\n");
      } else {
        await hear(conn, "stats\r\n");
        await say(conn, stats ?? "END\r\n");
        await hear(conn, "get k\r\n");
        await say(conn, get ?? "END\r\n");
      }
      await hear(conn, "more than it says");
    });
    const url = new URL(`memcached://127.0.0.1:${memcached.port}`);
    const source = new MemcachedSource(url, { timeout: 2_000 });
    const readAll = async () => {
      for await (const _ of source.batches(NEVER));
    };
    const error = await assertRejects(readAll, ToolError);
    assertMatch(error.message, /^memcached sent .*: is it memcached\?$/);
  });
}
