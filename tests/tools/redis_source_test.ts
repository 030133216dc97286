/**
 * Import from redis servers that refuse, are told apart by their URL, or mean harm.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { ToolError } from "../../tools/program.ts";
import { RedisSource } from "../../tools/redis_source.ts";
import type { Item } from "../../tools/source.ts";
import { UsageError } from "../../server/settings/flags.ts";
import { testServer, testWithProgram } from "../support/harness.ts";
import { hear, say, startFake } from "./fake_source.ts";
import { resp, runRedis, send } from "./other_server.ts";

const NEVER = new AbortController().signal;

/** What a source gives, item by item. */
async function itemsOf(url: string): Promise<Item[]> {
  const items: Item[] = [];
  const source = new RedisSource(new URL(url), { timeout: 10_000 });
  for await (const batch of source.batches(NEVER)) items.push(...batch.items);
  return items;
}

testWithProgram(
  "redis-server",
  "a refusal of redis is named, and taken for nothing else",
  async () => {
    await using redis = await runRedis();
    const refusals = [["pttl", "eternal"], ["get", "value"], ["strlen", "size"], ["type", "type"]];
    const commands = [
      resp("SET", "string", "v", "EX", "1000"),
      resp("RPUSH", "list", "v"),
      ...refusals.map(([name, user]) =>
        resp("ACL", "SETUSER", user!, "on", ">pw", "~*", "+@all", `-${name}`)
      ),
      resp("ACL", "SETUSER", "other", "on", ">pw", "~list*", "+@all"),
    ];
    await send(redis.port, { lines: commands.length, text: commands.join("") });
    for (const [name, user] of refusals) {
      const items = await itemsOf(`redis://${user}:pw@127.0.0.1:${redis.port}`);
      assertEquals(items.map(({ key, entry }) => key ?? entry?.key).sort(), ["list", "string"]);
      const refused = items.find(({ key }) => key === (name === "type" ? "list" : "string"));
      assertMatch(
        refused?.fault ?? "",
        new RegExp(`^redis refuses ${name!.toUpperCase()}: NOPERM `),
      );
    }
    const other = await itemsOf(`redis://other:pw@127.0.0.1:${redis.port}`);
    const faults = new Map(other.map(({ key, fault }) => [key, fault]));
    assertMatch(faults.get("string")!, /^redis refuses STRLEN: NOPERM /);
    assertEquals(faults.get("list"), "it is a list, which has no counterpart");
  },
);

testWithProgram("redis-server", "the database is the one that the URL names", async () => {
  await using redis = await runRedis();
  const commands = [resp("SET", "k", "zero"), resp("SELECT", "2"), resp("SET", "k", "two")];
  await send(redis.port, { lines: 3, text: commands.join("") });
  const found = async (rest: string) => {
    const [item] = await itemsOf(`redis://127.0.0.1:${redis.port}${rest}`);
    return item?.entry?.value;
  };
  assertEquals(await found(""), "zero");
  assertEquals(await found("/"), "zero");
  assertEquals(await found("/2"), "two");
  assertEquals(await found("?db=2"), "two");
  assertEquals(await found("/?db=2"), "two");
});

Deno.test("what a URL says and import does not do is refused", () => {
  for (
    const rest of ["/1?db=2", "?db=", "?db=two", "/two", "/1/2", "?timeout=5", "#2", "?db=1&db=2"]
  ) {
    const url = new URL(`redis://host${rest}`);
    assertThrows(() => new RedisSource(url, { timeout: 1 }), UsageError, "--from");
  }
  const userAlone = new URL("redis://user@host");
  assertThrows(() => new RedisSource(userAlone, { timeout: 1 }), Error, "no password");
});

/** What a redis answers to SCAN, after it has said how many keys it has. */
const SCANNED = {
  "a list in a list in a list, and so on": "*1\r\n".repeat(30_000),
  "a list that is longer than any page": "*99999999\r\n" + ":1\r\n".repeat(1_000),
  "a list of a negative length": "*-7\r\n",
  "a number that is none": ":1x\r\n",
  "a length that is none": "$1x\r\nab\r\n",
  "a length that is too large": "$99999999999\r\n",
  "bytes that do not end where they should": "$1\r\nabc\r\n",
  "a line that ends nowhere": `+${"a".repeat(100_000)}`,
  "a line that is no answer": "hello\r\n",
  "a number for a page": ":1\r\n",
  "a page with a key that is none": "*2\r\n$1\r\n0\r\n*1\r\n:1\r\n",
  "a page without keys": "*1\r\n$1\r\n0\r\n",
};

for (const [what, answer] of Object.entries(SCANNED)) {
  testServer(`a redis that sends ${what} is reported`, async () => {
    await using redis = startFake(async (conn) => {
      await hear(conn, "DBSIZE");
      await say(conn, ":1\r\n");
      await hear(conn, "SCAN");
      await say(conn, answer);
      // It keeps the connection: the import has to see by itself that this leads nowhere.
      await hear(conn, "more than it says");
    });
    const error = await assertRejects(
      () => itemsOf(`redis://127.0.0.1:${redis.port}`),
      ToolError,
    );
    assertMatch(error.message, /^redis sent .*: is it redis\?$/);
  });
}

testServer("an expiry that is no number is not taken for none", async () => {
  for (const left of ["$2\r\n10\r\n", ":-3\r\n", ":1.5\r\n", ":\r\n"]) {
    await using redis = startFake(async (conn) => {
      await hear(conn, "DBSIZE");
      await say(conn, ":1\r\n");
      await hear(conn, "SCAN");
      await say(conn, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n");
      await hear(conn, "STRLEN");
      await say(conn, ":1\r\n");
      await hear(conn, "PTTL");
      await say(conn, `$1\r\nv\r\n${left}`);
      await hear(conn, "more than it says");
    });
    await assertRejects(() => itemsOf(`redis://127.0.0.1:${redis.port}`), Error, "is it redis?");
  }
});
