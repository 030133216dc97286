/**
 * Large values: whatever a server stores, the tools move, and hold little of it at a time.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Client, connect } from "../../client/client.ts";
import { linesOf } from "../../tools/byte_lines.ts";
import { exportLines, type Reader } from "../../tools/exporter.ts";
import { importAll } from "../../tools/importer.ts";
import { LineSource } from "../../tools/line_source.ts";
import { Meter } from "../../tools/progress.ts";
import type { Item, Source } from "../../tools/source.ts";
import { ServerProcess, testServer, testWithProgram } from "../support/harness.ts";
import { hear, say, startFake } from "./fake_source.ts";
import { resp, runMemcached, runRedis, send } from "./other_server.ts";
import { runTool } from "./tool.ts";

const MIB = 1_048_576;
const NEVER = new AbortController().signal;
/** As long a line as a server can be set to take. */
const LARGEST = ["--memory", "--max-line", String(64 * MIB)];
/** Longer replies than a client accepts by default. */
const CLIENT = { replyBytesMax: 65 * MIB };

testWithProgram("redis-server", "a hundred large strings are imported from redis", async () => {
  await using redis = await runRedis();
  const value = "v".repeat(1_000_000);
  const commands = Array.from({ length: 100 }, (_, i) => resp("SET", `key${i}`, value));
  await send(redis.port, { text: commands.join(""), lines: commands.length });
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const from = ["--from", `redis://127.0.0.1:${redis.port}`];
  const { code, stderr } = await runTool("import", {
    args: ["--port", String(server.port), ...from],
  });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^Imported 100 keys /);
});

testWithProgram("memcached", "large values are imported from memcached", async () => {
  await using memcached = await runMemcached("-I", "64m", "-m", "256");
  const value = "v".repeat(20 * MIB);
  const commands = ["a", "b"].map((key) => `set ${key} 0 0 ${value.length}\r\n${value}\r\n`);
  await send(memcached.port, { text: commands.join(""), lines: commands.length });
  await using server = await ServerProcess.start({ args: LARGEST });
  const from = ["--from", `memcached://127.0.0.1:${memcached.port}`];
  const { code, stderr } = await runTool("import", {
    args: ["--port", String(server.port), ...from],
  });
  assertEquals(code, 0, stderr);
  await using db = await connect({ port: server.port, ...CLIENT });
  assert(await db.get("b") === value);
});

testServer("the largest values survive an export and an import", async () => {
  await using server = await ServerProcess.start({ args: LARGEST });
  const args = ["--port", String(server.port)];
  await using db = await connect({ port: server.port, ...CLIENT });
  // Each of its characters takes two in JSON.
  const value = '"'.repeat(64 * MIB - "PUT a ".length);
  await db.put("a", value);
  await db.put("b", value.slice(0, 20 * MIB));
  const exported = await runTool("export", { args });
  assertEquals(exported.code, 0, exported.stderr);
  await db.clear();
  const imported = await runTool("import", { args, input: exported.stdout });
  assertEquals(imported.code, 0, imported.stderr);
  assert(await db.get("a") === value);
  assertEquals((await db.get("b"))?.length, 20 * MIB);
});

testServer("the shell sends and prints large values", async () => {
  await using server = await ServerProcess.start({ args: LARGEST });
  const args = ["--port", String(server.port)];
  const value = "v".repeat(20 * MIB);
  const puts = Array.from({ length: 5 }, (_, i) => `PUT key${i} ${value}\n`).join("");
  const { code, stdout, stderr } = await runTool("shell", { args, input: `${puts}GET key4\n` });
  assertEquals([code, stderr], [0, ""]);
  assert(stdout === `${"200 OK\n".repeat(5)}200 OK ${value}\n`);
});

testServer(
  "the shell asks for few values at a time, and for fewer while they are large",
  async () => {
    const outstanding: number[] = [];
    await using server = startFake(async (conn) => {
      await hear(conn, "HELP HELP\r\n");
      await say(conn, "404 NOT FOUND\r\n");
      const reply = `200 OK ${"v".repeat(MIB)}\r\n`;
      const buffer = new Uint8Array(65_536);
      for (
        let length = await conn.read(buffer);
        length !== null;
        length = await conn.read(buffer)
      ) {
        const text = new TextDecoder().decode(buffer.subarray(0, length));
        // All requests of a window come in one write.
        const count = text.split("GET k\r\n").length - 1;
        if (count === 0) break;
        outstanding.push(count);
        await say(conn, reply.repeat(count));
      }
      await say(conn, "200 OK\r\n");
    });
    const input = "GET k\n".repeat(40);
    const args = ["--port", String(server.port)];
    const { code } = await runTool("shell", { args, input });
    assertEquals([code, outstanding], [0, [16, 3, 3, 3, 3, 3, 3, 3, 3]]);
  },
);

Deno.test("an export holds few large values at a time, wherever they begin", async () => {
  const values = new Map<string, string>();
  for (let i = 0; i < 3_000; i++) values.set(`small${1_000 + i}`, "v");
  for (let i = 0; i < 100; i++) values.set(`tall${100 + i}`, "v".repeat(MIB));
  for (let i = 0; i < 3_000; i++) values.set(`tiny${1_000 + i}`, "v");
  const batches: string[] = [];
  for await (const lines of exportLines(readerOf(values), { signal: NEVER })) {
    assert(lines.text.length < 9 * MIB + 100, `${lines.text.length} characters in a batch`);
    batches.push(lines.text);
  }
  const entries = batches.join("").trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(entries.map(({ key }) => key), [...values.keys()]);
  assert(entries.every(({ key, value }) => value === values.get(key)));
  assert(batches.length < 60, `${batches.length} batches`);
});

/** A client of a table that answers in order, each request in its turn. */
function readerOf(values: ReadonlyMap<string, string>): Reader {
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(result: Result): Promise<Result> => {
    const turn = last.then(() => result);
    last = turn;
    return turn;
  };
  return {
    get: (key) => inTurn(values.get(key)),
    ttl: () => inTurn(Infinity),
    async *keys() {
      yield* values.keys();
    },
  };
}

Deno.test("an import has few large values in flight", async () => {
  let inFlight = 0;
  let most = 0;
  const db = {
    async put(_key: string, value: string) {
      inFlight += value.length;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setTimeout(resolve, 1));
      inFlight -= value.length;
    },
  } as Client;
  const value = "v".repeat(3 * MIB);
  const source: Source = {
    unit: "key",
    async *batches() {
      for (let place = 1; place <= 20; place++) {
        yield { items: [{ place, entry: { key: "k", value } }], fraction: undefined };
      }
    },
  };
  using meter = new Meter({ unit: "keys", quiet: true });
  const account = await importAll(db, source, { goesOn: true, signal: NEVER, meter });
  assertEquals(account.stored, 20);
  assert(most <= 2 * value.length, `${most} characters in flight`);
});

Deno.test("a line that is too long is told from the others, however it is cut", async () => {
  const bytes = new TextEncoder().encode("abc\nabcd\nabcde\n\nab");
  for (const size of [1, 2, 3, 5, 100]) {
    const found: (string | undefined)[] = [];
    for await (const lines of linesOf(partsOf(bytes, size), { bytesMax: 4 })) {
      found.push(...lines.map((line) => line?.toString()));
    }
    assertEquals(found, ["abc", "abcd", undefined, "", "ab"]);
  }
});

async function* partsOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

Deno.test("an import tells of a line that is longer than any value", async () => {
  const part = new Uint8Array(MIB).fill(0x76);
  const source = new LineSource((async function* () {
    for (let i = 0; i < 257; i++) yield part;
    yield new TextEncoder().encode('\n{"key":"k","value":"v"}\n');
  })());
  const items: Item[] = [];
  for await (const batch of source.batches(NEVER)) items.push(...batch.items);
  assertStringIncludes(items[0]?.fault ?? "", "it is longer than ");
  assertEquals(items[1]?.entry, { key: "k", value: "v" });
});
