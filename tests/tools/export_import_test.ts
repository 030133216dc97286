/**
 * Export and import, as their tasks start them, with a real server.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Client, connect } from "../../client/client.ts";
import { ServerProcess, testWith } from "../support/harness.ts";
import { runTool, startTool } from "./tool.ts";

/** How many keys make the round trip. */
const KEYS = 5_000;

/** Defines a test with a server, a client of it, and the flags that reach it. */
function toolTest(
  name: string,
  fn: (db: Client, port: string[]) => Promise<void>,
): void {
  testWith(["net", "read", "write", "run", "env"], name, async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    await using db = await connect({ port: server.port });
    await fn(db, ["--port", String(server.port)]);
  });
}

toolTest("what is exported and imported again is the same", async (db, port) => {
  const entries = Array.from({ length: KEYS }, (_, i) =>
    [
      `key:${i}`,
      i % 100 === 0 ? "large ä".repeat(20_000) : ` value "${i}"\\ \t€𝄞\u2028 `,
    ] as const);
  await db.putMany(entries);
  await db.expire("key:7", 10_000);
  const exported = await runTool("export", { args: port });
  assertEquals(exported.code, 0);
  assertMatch(exported.stderr, /^Exported 5,000 keys /);
  const lines = exported.stdout.trimEnd().split("\n");
  assertEquals(lines.length, KEYS);
  await db.clear();
  const imported = await runTool("import", { args: port, input: exported.stdout });
  assertEquals([imported.code, imported.stdout], [0, ""]);
  assertMatch(imported.stderr, /^Imported 5,000 keys /);
  assertEquals(await db.count(), KEYS);
  assertEquals(
    await db.getMany(entries.map(([key]) => key)),
    entries.map(([, value]) => value),
  );
  const left = (await db.ttl("key:7"))!;
  assert(left > 9_900 && left <= 10_001, String(left));
  assertEquals(await db.ttl("key:8"), Infinity);
});

toolTest("an export has what its prefix and its start name", async (db, port) => {
  await db.putMany(["a1", "a2", "a3", "b1"].map((key) => [key, "v"]));
  const { stdout, code } = await runTool("export", {
    args: [...port, "--prefix", "a", "--after", "a1", "--quiet"],
  });
  assertEquals([code, stdout], [
    0,
    '{"key":"a2","value":"v"}\n{"key":"a3","value":"v"}\n',
  ]);
});

toolTest("an export whose reader leaves ends", async (db, port) => {
  await db.putMany(Array.from({ length: 3_000 }, (_, i) => [`key${i}`, "v".repeat(1_000)]));
  const tool = startTool("export", { args: port });
  const reader = tool.child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  reader.releaseLock();
  assertEquals((await tool.child.status).code, 1);
  await tool.closeInput();
  await tool.child.stderr.cancel();
});

toolTest("keys that expire while they are exported are left out", async (db, port) => {
  await db.putMany(Array.from({ length: 2_000 }, (_, i) => [`key${i}`, "v"]));
  await Promise.all(
    Array.from({ length: 2_000 }, (_, i) => db.expire(`key${i}`, 0.05 + i / 4_000)),
  );
  await db.put("stays", "v");
  const { code, stdout } = await runTool("export", { args: port });
  assertEquals(code, 0);
  for (const line of stdout.trimEnd().split("\n")) JSON.parse(line);
  assertStringIncludes(stdout, '{"key":"stays","value":"v"}\n');
});

const WRONG = [
  "no JSON",
  "[]",
  '{"key":"a b","value":"v"}',
  '{"key":"k","value":"a\\u0000b"}',
  '{"key":"k","value":"a\\r\\nCLEAR"}',
  '{"key":"k","value":""}',
  '{"key":"k"}',
  '{"key":"k","value":"\\ud800"}',
  '{"key":"k","value":"v","expires":1}',
  '{"key":"k","value":"v","expiresAt":"soon"}',
  '{"key":"k","value":1}',
];

toolTest("a wrong line stops an import, which says how to go on", async (db, port) => {
  for (const wrong of WRONG) {
    await db.clear();
    const input = `{"key":"first","value":"v"}\n\n${wrong}\n{"key":"last","value":"v"}\n`;
    const { code, stderr } = await runTool("import", { args: port, input });
    assertEquals([code, await db.get("first")], [1, "v"], wrong);
    assertMatch(stderr, /Stopped at line 3: (it|its) .*\n.*Go on with: --skip 2\n.*--skip 3/);
    assertEquals(await db.get("last"), undefined);
    const next = await runTool("import", { args: [...port, "--skip", "3"], input });
    assertEquals([next.code, await db.get("last")], [0, "v"]);
  }
  const { stderr } = await runTool("import", { args: port, input: "x\n" });
  assertMatch(
    stderr,
    /\nStopped at line 1: it is not JSON\nLeave out line 1 with --skip 1, or .*\n$/,
  );
});

toolTest("wrong lines are left out if that is asked for", async (db, port) => {
  const bytes = new TextEncoder().encode(`${WRONG.join("\n")}\n{"key":"k","value":"v"}\n`);
  const input = new Uint8Array([...bytes, 0x22, 0xff, 0x22, 0x0a]);
  const { code, stderr } = await runTool("import", {
    args: [...port, "--on-error", "skip"],
    input,
  });
  assertEquals(code, 1);
  WRONG.forEach((_, i) => assertStringIncludes(stderr, `Left out line ${i + 1}: `));
  assertStringIncludes(stderr, "Left out line 13: it is not UTF-8");
  assertMatch(stderr, /Imported 1 key in /);
  assertEquals(await Array.fromAsync(db.keys()), ["k"]);
});

toolTest(
  "a value that the server refuses is left out, and a last line needs no end",
  async (db, port) => {
    const long = `{"key":"long","value":"${"v".repeat(1_100_000)}"}`;
    const { code, stderr } = await runTool("import", {
      args: [...port, "--on-error", "skip"],
      input: `${long}\n{"key":"k","value":"v"}`,
    });
    assertEquals(code, 1);
    assertMatch(stderr, /Left out line 1: the server refused it/);
    assertEquals(await Array.fromAsync(db.keys()), ["k"]);
  },
);

toolTest("what had expired before the import is left out, and counted", async (db, port) => {
  const input = '{"key":"old","value":"v","expiresAt":1000}\n{"key":"k","value":"v"}\n';
  const { code, stderr } = await runTool("import", { args: port, input });
  assertEquals(code, 0);
  assertStringIncludes(stderr, "Left out 1 key that had expired");
  assertEquals(await Array.fromAsync(db.keys()), ["k"]);
});

toolTest("a later line of a key does not get the expiry of an earlier one", async (db, port) => {
  const expiresAt = Date.now() + 1_000_000;
  const lines = [
    { key: "stays", value: "old", expiresAt },
    { key: "stays", value: "new" },
    { key: "expires", value: "old" },
    { key: "expires", value: "older", expiresAt: expiresAt - 500_000 },
    { key: "expires", value: "new", expiresAt },
  ];
  // Again and again, as import has many requests in flight.
  const input = lines.map((line) => `${JSON.stringify(line)}\n`).join("").repeat(200);
  const { code, stderr } = await runTool("import", { args: port, input });
  assertEquals(code, 0, stderr);
  assertEquals(await db.getMany(["stays", "expires"]), ["new", "new"]);
  assertEquals(await db.ttl("stays"), Infinity);
  assert((await db.ttl("expires"))! > 900);
});

toolTest(
  "an expiry comes back no earlier, and no later than by the time it took",
  async (db, port) => {
    await db.putMany(Array.from({ length: 2_000 }, (_, i) => [`key${i}`, "v"]));
    await Promise.all(Array.from({ length: 2_000 }, (_, i) => db.expire(`key${i}`, 1_000 + i)));
    const startedAt = Date.now();
    const first = await runTool("export", { args: port });
    await db.clear();
    assertEquals((await runTool("import", { args: port, input: first.stdout })).code, 0);
    const second = await runTool("export", { args: port });
    const elapsed = Date.now() - startedAt;
    const expiries = (text: string) => text.match(/(?<="expiresAt":)\d+/g)!.map(Number);
    const [before, after] = [expiries(first.stdout), expiries(second.stdout)];
    assertEquals([before.length, after.length], [2_000, 2_000]);
    for (const [i, expiresAt] of after.entries()) {
      const later = expiresAt - before[i]!;
      assert(later >= 0 && later <= elapsed, `${later} of ${elapsed} ms`);
    }
  },
);

testWith(
  ["net", "read", "write", "run", "env"],
  "a server that wants a password is told from one that refuses it",
  async () => {
    const env = { KEYLINE_PASSWORD: "open sesame" };
    await using server = await ServerProcess.start({ args: ["--memory"], env });
    const args = ["--port", String(server.port)];
    const input = '{"key":"k","value":"v"}\n';
    for (const task of ["export", "import"] as const) {
      const none = await runTool(task, { args, input });
      assertEquals(none.code, 1);
      assertMatch(none.stderr, /^keyline .* wants a password: use --password .*\n$/);
      const wrong = await runTool(task, { args, input, env: { KEYLINE_PASSWORD: "wrong" } });
      assertEquals(wrong.code, 1);
      assertMatch(wrong.stderr, /^keyline .* refuses the password: 401 UNAUTHORIZED\n$/);
      assertEquals((await runTool(task, { args, input, env })).code, 0);
    }
  },
);

toolTest(
  "SIGINT ends an import that waits for input, and says how far it came",
  async (db, port) => {
    const tool = startTool("import", { args: port });
    const lines = Array.from({ length: 2_500 }, (_, i) => `{"key":"key${i}","value":"v"}\n`);
    await tool.write(lines.join(""));
    while (await db.count() < 2_000) await new Promise((resolve) => setTimeout(resolve, 20));
    tool.child.kill("SIGINT");
    // Its input stays open until then.
    await tool.child.status;
    const { code, stderr } = await tool.finish();
    assertEquals(code, 130);
    const done = Number(/Go on with: --skip (\d+)/.exec(stderr)?.[1]);
    assertEquals(await db.count(), done);
  },
);

testWith(
  ["net", "read", "write", "run", "env"],
  "an import goes on after a restart of the server",
  async () => {
    await using first = await ServerProcess.start();
    const tool = startTool("import", { args: ["--port", String(first.port)] });
    const lineOf = (i: number) => `{"key":"key${i}","value":"v"}\n`;
    await tool.write(Array.from({ length: 1_500 }, (_, i) => lineOf(i)).join(""));
    {
      await using db = await connect({ port: first.port });
      while (await db.count() < 1_000) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await first.stop("SIGKILL");
    const args = ["--port", String(first.port)];
    await using second = await ServerProcess.start({ data: first.data, args });
    await tool.write(Array.from({ length: 1_500 }, (_, i) => lineOf(1_500 + i)).join(""));
    const { code, stderr } = await tool.finish();
    assertEquals(code, 0, stderr);
    await using db = await connect({ port: second.port });
    assertEquals(await db.count(), 3_000);
  },
);

testWith(
  ["net", "read", "run", "env"],
  "wrong calls end with 2 and a line that says what to do",
  async () => {
    const wrong = [
      "--non",
      "--port=x",
      "--on-error=x",
      "--from=http://x",
      "--from=redis://:%ZZ@x",
      "--from=redis://x?db=no",
      "--from=memcached://user@x",
      "--from=memcached://x/1",
    ];
    for (const args of [...wrong.map((arg) => [arg]), ["--timeout", "0"], ["table.jsonl"]]) {
      const { code, stderr } = await runTool("import", { args });
      assertEquals(code, 2, args.join(" "));
      assertEquals(stderr.trimEnd().split("\n").length, 1, stderr);
    }
    const { code, stderr } = await runTool("export", { args: ["--port", "1"] });
    assertEquals(code, 1);
    assertMatch(stderr, /^keyline export: Cannot connect to 127.0.0.1:1: nothing listens there\n$/);
    for (const task of ["export", "import"] as const) {
      const help = await runTool(task, { args: ["--help"] });
      assertEquals([help.code, help.stderr], [0, ""]);
      assertMatch(help.stdout, new RegExp(`^keyline ${task}: `));
    }
  },
);
