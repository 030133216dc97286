/**
 * Import from real redis and memcached servers on free ports.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Client, connect } from "../../client/client.ts";
import { ServerProcess, testWithProgram } from "../support/harness.ts";
import { resp, runMemcached, runRedis, send, utf8 } from "./other_server.ts";
import { runTool } from "./tool.ts";

async function withServer(fn: (db: Client, port: string[]) => Promise<void>): Promise<void> {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  await using db = await connect({ port: server.port });
  await fn(db, ["--port", String(server.port)]);
}

const KEYS = 3_000;

testWithProgram(
  "redis-server",
  "import from redis stores strings with their expiry, and names the rest",
  async () => {
    await using redis = await runRedis("--requirepass", "pass word");
    const commands = [
      resp("AUTH", "pass word"),
      resp("SELECT", "2"),
      ...Array.from({ length: KEYS }, (_, i) => resp("SET", `key:${i}`, utf8(`value ä€ ${i}`))),
      resp("SET", "session", "v", "EX", "1000"),
      resp("SET", "binary", "\xff\xfe"),
      resp("SET", "empty", ""),
      resp("SET", "lines", "a\r\nCLEAR"),
      resp("SET", "a key", "v"),
      resp("SET", "large", "v".repeat(1_100_000)),
      resp("HSET", "hash", "field", "v"),
      resp("RPUSH", "list", "v"),
      resp("SADD", "set", "v"),
    ];
    await send(redis.port, { text: commands.join(""), lines: commands.length });
    await withServer(async (db, port) => {
      const url = `redis://:pass%20word@127.0.0.1:${redis.port}/2`;
      const { code, stderr } = await runTool("import", { args: [...port, "--from", url] });
      assertEquals(code, 1);
      assertMatch(stderr, /Imported 3,001 keys /);
      assertEquals(await db.count(), KEYS + 1);
      assertEquals(await db.get("key:42"), "value ä€ 42");
      assertEquals(await db.ttl("key:42"), Infinity);
      const left = (await db.ttl("session"))!;
      assert(left > 900 && left <= 1_001, String(left));
      for (const key of ["binary", "empty", "lines", "a key", "large", "hash", "list", "set"]) {
        assertStringIncludes(stderr, `Left out "${key}": `);
      }
      assertStringIncludes(stderr, "Left out 1 key: it is a hash, which has no counterpart");
      const wrong = `redis://:wrong@127.0.0.1:${redis.port}`;
      const refused = await runTool("import", { args: [...port, "--from", wrong] });
      assertEquals(refused.code, 1);
      assertMatch(refused.stderr, /^keyline import: redis refuses AUTH: /);
    });
  },
);

testWithProgram(
  "memcached",
  "import from memcached stores values with their expiry, and names the rest",
  async () => {
    await using memcached = await runMemcached();
    const set = (key: string, value: string, ttl = 0) =>
      `set ${key} 0 ${ttl} ${value.length}\r\n${value}\r\n`;
    const commands = [
      ...Array.from({ length: KEYS }, (_, i) => set(`key:${i}`, utf8(`value ä€ ${i}`))),
      ...Array.from({ length: 200 }, (_, i) => set(`${i}${"k".repeat(240)}`, "v")),
      set(utf8("schlüssel%"), "v"),
      set("session", "v", 1_000),
      set("binary", "\xff\xfe"),
      set("empty", ""),
    ];
    await send(memcached.port, { text: commands.join(""), lines: commands.length });
    await withServer(async (db, port) => {
      const url = `memcached://127.0.0.1:${memcached.port}`;
      const { code, stderr } = await runTool("import", { args: [...port, "--from", url] });
      assertEquals(code, 1);
      assertMatch(stderr, /Imported 3,202 keys /);
      assertEquals(await db.count(), KEYS + 202);
      assertEquals(await db.get("key:42"), "value ä€ 42");
      assertEquals(await db.get("schlüssel%"), "v");
      const left = (await db.ttl("session"))!;
      assert(left > 900 && left <= 1_001, String(left));
      for (const key of ["binary", "empty"]) assertStringIncludes(stderr, `Left out "${key}": `);
    });
  },
);

testWithProgram(
  "memcached",
  "a key of memcached is never a command, and one that can't be stored is named",
  async () => {
    await using memcached = await runMemcached();
    const bad = [
      "x\r\nflush_all\r\nget y",
      "foo bar",
      "tab\tx",
      "vt\x0bx",
      "ff\x0cx",
      "cr\rx",
      "nul\0x",
      "\xff",
    ];
    const good = [utf8("voilà"), utf8("\x85"), utf8("\u2028"), utf8("per%cent+plus"), "plain"];
    const keys = [...bad, ...good];
    const commands = keys.map((key) => `ms ${btoa(key)} 1 b\r\nv\r\n`);
    await send(memcached.port, { text: commands.join(""), lines: commands.length });
    await withServer(async (db, port) => {
      const from = ["--from", `memcached://127.0.0.1:${memcached.port}`];
      const { code, stderr } = await runTool("import", { args: [...port, ...from] });
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /Imported 5 keys /);
      const expected = ["voilà", "\x85", "\u2028", "per%cent+plus", "plain"];
      assertEquals(await Array.fromAsync(db.keys()), expected.toSorted());
      assertEquals(stderr.match(/^Left out "/gm)?.length, bad.length);
      assertStringIncludes(stderr, 'Left out "foo bar": its key can\'t be stored: ');
      assertStringIncludes(stderr, "Left out 1 key: its key is not UTF-8");
    });
    const left = await send(memcached.port, { text: "stats\r\n", lines: 60 });
    assertStringIncludes(left, `STAT curr_items ${keys.length}\r\n`);
  },
);

testWithProgram("redis-server", "a redis that does not speak TLS is not waited for", async () => {
  await using redis = await runRedis();
  await withServer(async (_, port) => {
    const from = ["--from", `rediss://127.0.0.1:${redis.port}`, "--timeout", "1"];
    const { code, stderr } = await runTool("import", { args: [...port, ...from] });
    assertEquals(code, 1);
    assertMatch(stderr, /Cannot connect to redis on .*: no answer in 1 s; does it speak TLS\?\n$/);
  });
});

testWithProgram(
  "redis-server",
  "an import that stops at a key says how to leave it out",
  async () => {
    await using redis = await runRedis();
    await send(redis.port, { text: resp("RPUSH", "list", "v"), lines: 1 });
    await withServer(async (_, port) => {
      const from = ["--from", `redis://127.0.0.1:${redis.port}`, "--on-error", "stop"];
      const { code, stderr } = await runTool("import", { args: [...port, ...from] });
      assertEquals(code, 1);
      assertMatch(stderr, /Stopped at key 1: it is a list, .*\n.*\n.*--on-error skip\n$/);
    });
  },
);

testWithProgram("sh", "a server that is not redis or memcached is reported as such", async () => {
  await withServer(async (_, port) => {
    for (const kind of ["redis", "memcached"]) {
      const args = [...port, "--from", `${kind}://127.0.0.1:${port[1]}`];
      const { code, stderr } = await runTool("import", { args });
      assertEquals(code, 1);
      assertMatch(stderr, new RegExp(`^keyline import: ${kind} sent .*: is it ${kind}\\?`));
    }
  });
});
