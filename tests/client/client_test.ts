/**
 * The client with a real server: each operation, what it refuses to send, and what it returns.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  ArgumentError,
  BadRequestError,
  type Client,
  ClosedError,
  ConflictError,
  connect,
  ConnectionError,
  UnauthorizedError,
} from "../../client/client.ts";
import { ServerProcess, tempFolder, testWith, testWithProgram } from "../support/harness.ts";

const SEED = Number(
  Deno.permissions.querySync({ name: "env" }).state === "granted"
    ? Deno.env.get("KEYLINE_FUZZ_SEED") ?? Date.now() % 2 ** 31
    : 1,
);

/** Defines a test with a client of a server that keeps its table in memory. */
function clientTest(name: string, fn: (db: Client, server: ServerProcess) => Promise<void>): void {
  testWith(["net", "read", "write", "run", "env"], name, async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    await using db = await connect({ port: server.port });
    await fn(db, server);
  });
}

clientTest("get, put and delete do what they say", async (db) => {
  assertEquals(await db.get("k"), undefined);
  await db.put("k", " a value\t ");
  assertEquals(await db.get("k"), " a value\t ");
  await db.put("k", "OK");
  assertEquals(await db.get("k"), "OK");
  await db.delete("k");
  await db.delete("k");
  assertEquals(await db.get("k"), undefined);
});

clientTest("add stores only if the key has no value", async (db) => {
  assertEquals(await db.add("lock", "a"), true);
  assertEquals(await db.add("lock", "b"), false);
  assertEquals(await db.get("lock"), "a");
});

clientTest("cas says whether it stored, and why it did not", async (db) => {
  assertEquals(await db.cas("k", { version: 1n, value: "v" }), { outcome: "missing" });
  await db.put("k", "first");
  const { version, value } = (await db.gets("k"))!;
  assertEquals(value, "first");
  const stored = await db.cas("k", { version, value: "second" });
  assert(stored.outcome === "stored" && stored.version > version);
  assertEquals(await db.cas("k", { version, value: "third" }), { outcome: "changed" });
  assertEquals(await db.gets("k"), { version: stored.version, value: "second" });
});

clientTest("incr counts with 64 bits, and refuses what is not a number", async (db) => {
  assertEquals(await db.incr("n"), 1n);
  assertEquals(await db.incr("n", -3), -2n);
  assertEquals(await db.incr("n", 2n ** 62n), 2n ** 62n - 2n);
  await db.put("n", "text");
  await assertRejects(() => db.incr("n"), ConflictError);
  await assertRejects(() => db.incr("n", 0.5), ArgumentError);
});

clientTest("an expiry is set, read and removed", async (db) => {
  assertEquals(await db.expire("k", 10), false);
  assertEquals(await db.ttl("k"), undefined);
  await db.put("k", "v", { ttl: 1_000 });
  const left = (await db.ttl("k"))!;
  assert(left > 0 && left <= 1_000);
  assertEquals(await db.persist("k"), true);
  assertEquals(await db.ttl("k"), Infinity);
  assertEquals(await db.persist("none"), false);
  await assertRejects(() => db.expire("k", NaN), ArgumentError);
});

clientTest("keys come in order, over several pages, with a prefix, after a key", async (db) => {
  const names = Array.from({ length: 2_500 }, (_, i) => `k${String(i).padStart(5, "0")}`);
  await db.putMany(names.map((name) => [name, "v"]));
  await db.put("other", "v");
  assertEquals(await Array.fromAsync(db.keys("k")), names);
  assertEquals(await Array.fromAsync(db.keys("k", { after: "k02497" })), names.slice(2_498));
  assertEquals((await Array.fromAsync(db.keys())).length, 2_501);
  assertEquals(await Array.fromAsync(db.keys("x")), []);
  for await (const key of db.keys()) {
    assertEquals(key, "k00000");
    break;
  }
  assertEquals(await db.count(), 2_501);
});

clientTest("keys that begin with a star are found, though a star means every key", async (db) => {
  await db.putMany([")z", "*", "*a", "**", "+", "a*"].map((key) => [key, "v"]));
  assertEquals(await Array.fromAsync(db.keys("*")), ["*", "**", "*a"]);
  assertEquals(await Array.fromAsync(db.keys("**")), ["**"]);
});

clientTest("getMany and putMany take more keys than may wait at a time", async (_, server) => {
  await using db = await connect({ port: server.port, queueMax: 1_000 });
  const entries = Array.from({ length: 5_000 }, (_, i) => [`key${i}`, `value${i}`] as const);
  await db.putMany(entries);
  const values = await db.getMany([...entries.map(([key]) => key), "none"]);
  assertEquals(values, [...entries.map(([, value]) => value), undefined]);
  await assertRejects(() => db.putMany([["good", "v"], ["no good", "v"]]), ArgumentError);
  assertEquals(await db.get("good"), "v");
});

clientTest("stats and any other line can be asked for", async (db) => {
  assertEquals((await db.stats()).get("keys"), "0");
  assertEquals((await db.request("help get")).lines[0], "GET key");
  assertEquals((await db.request("NONE")).code, 220);
  assertEquals(await db.request("GET k"), { code: 404, text: "NOT FOUND", lines: [] });
});

clientTest(
  "a key or a value that would be a second request is refused, and nothing sent",
  async (db) => {
    await db.put("kept", "v");
    const bad = [
      "",
      " ",
      "a b",
      "a\r\nCLEAR",
      "a\nCLEAR",
      "a\0",
      "\x7f",
      "\ud800",
      "k".repeat(1_025),
    ];
    for (const key of bad) {
      await assertRejects(() => db.get(key), ArgumentError);
      await assertRejects(() => db.put(key, "v"), ArgumentError);
    }
    for (const value of ["", "a\r\nCLEAR", "\n", "\r", "\x1b[2J", "\x7f", "half \udc00"]) {
      await assertRejects(() => db.put("k", value), ArgumentError);
      await assertRejects(() => db.add("k", value), ArgumentError);
      await assertRejects(() => db.request(`PUT k ${value}\n`), ArgumentError);
    }
    for (const key of [undefined, null, 1, {}] as unknown as string[]) {
      await assertRejects(() => db.get(key), ArgumentError);
      await assertRejects(() => db.put("k", key), ArgumentError);
    }
    await assertRejects(() => db.request("QUIT"), ArgumentError);
    assertEquals(await Array.fromAsync(db.keys()), ["kept"]);
  },
);

clientTest("a number that is text is refused, and can't be a second request", async (db) => {
  await db.put("n", "1");
  const text = "1\r\nCLEAR" as unknown;
  await assertRejects(() => db.incr("n", text as bigint), ArgumentError);
  await assertRejects(() => db.cas("n", { version: text as bigint, value: "v" }), ArgumentError);
  await assertRejects(() => db.expire("n", text as number), ArgumentError);
  await assertRejects(() => db.expire("n", "5" as unknown as number), ArgumentError);
  await assertRejects(() => db.put("n", "v", { ttl: null as unknown as number }), ArgumentError);
  assertEquals(await db.get("n"), "1");
});

clientTest("what is not a line is refused as such", async (db) => {
  for (const line of [undefined, null, 1] as unknown as string[]) {
    await assertRejects(() => db.request(line), ArgumentError, "not a string");
  }
});

clientTest("keys refuses a prefix or a start that no key can have", async (db) => {
  await db.put("ab", "v");
  // Sent as it is, "a 0" would be the prefix "a" and the start "0".
  await assertRejects(() => db.keys("a 0").next(), ArgumentError, "prefix");
  await assertRejects(() => db.keys("a", { after: "0 1" }).next(), ArgumentError, "a space");
  assertEquals(await Array.fromAsync(db.keys("a", { after: "" })), ["ab"]);
});

clientTest("a timeout that no timer can wait for is refused", async (db) => {
  for (const timeout of [0, -1, NaN, 2 ** 40, "5" as unknown as number]) {
    await assertRejects(() => db.get("k", { timeout }), ArgumentError, "timeout");
  }
  assertEquals(await db.get("k", { timeout: 30_000 }), undefined);
});

clientTest(
  "a value of a megabyte comes back as it was; a longer line is a bad request",
  async (db) => {
    const value = "ä€𝄞".repeat(116_000);
    await db.put("large", value);
    const values = await db.getMany(Array(20).fill("large"));
    assert(values.every((got) => got === value));
    await assertRejects(() => db.put("large", "v".repeat(1_048_576)), BadRequestError);
    assertEquals(await db.get("large"), value);
  },
);

clientTest("a first value that ends as HTTP does is stored like any other", async (_, server) => {
  await using db = await connect({ port: server.port });
  await db.put("k", "GET / HTTP/1.1");
  assertEquals(await db.get("k"), "GET / HTTP/1.1");
});

clientTest("requests made at once are answered in their order", async (db) => {
  await db.put("n", "0");
  const counts = await Promise.all(Array.from({ length: 500 }, () => db.incr("n")));
  assertEquals(counts, Array.from({ length: 500 }, (_, i) => BigInt(i + 1)));
});

clientTest("close waits for the requests in flight, and takes no more", async (_, server) => {
  const db = await connect({ port: server.port });
  const under = Promise.all(Array.from({ length: 100 }, () => db.incr("n")));
  await db.close();
  assertEquals((await under).at(-1), 100n);
  await assertRejects(() => db.get("n"), ClosedError);
  await db.close();
});

clientTest("arbitrary keys and values come back as they were", async (db) => {
  const inKey = fc.string({ unit: "binary", minLength: 1, maxLength: 40 }).map((text) =>
    // deno-lint-ignore no-control-regex -- what a key can't hold
    text.toWellFormed().replace(/[\x00-\x20\x7f]/g, "_")
  );
  const inValue = fc.string({ unit: "binary", minLength: 1, maxLength: 400 }).map((text) =>
    // deno-lint-ignore no-control-regex -- what a value can't hold
    text.toWellFormed().replace(/[\x00-\x08\x0a-\x1f\x7f]/g, "\t")
  );
  const entries = fc.array(fc.tuple(inKey, inValue), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(entries, async (entries) => {
      await db.clear();
      await db.putMany(entries);
      const model = new Map(entries);
      assertEquals(await db.getMany(model.keys()), [...model.values()]);
      const keys = await Array.fromAsync(db.keys());
      assertEquals(new Set(keys), new Set(model.keys()));
    }),
    { numRuns: 100, seed: SEED },
  );
});

testWith(
  ["net", "read", "write", "run", "env"],
  "a password is given, or the error says so",
  async () => {
    const env = { KEYLINE_PASSWORD: "open sesame" };
    await using server = await ServerProcess.start({ args: ["--memory"], env });
    const { port } = server;
    await using db = await connect({ port, password: "open sesame" });
    await db.put("k", "v");
    await assertRejects(() => connect({ port, password: "wrong" }), UnauthorizedError);
    await assertRejects(() => connect({ port, password: "a\r\nCLEAR" }), ArgumentError);
    await using other = await connect({ port });
    await assertRejects(() => other.get("k"), UnauthorizedError);
    assertEquals(await db.get("k"), "v");
  },
);

testWith(["net"], "connect says so if nothing listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const what = `Cannot connect to 127.0.0.1:${port}: nothing listens there`;
  await assertRejects(() => connect({ port }), ConnectionError, what);
  for (const wrong of [0, 1.5, 65_536]) {
    await assertRejects(() => connect({ port: wrong }), ArgumentError, "port");
  }
});

testWithProgram(
  "openssl",
  "TLS works with a server whose certificate is trusted, and only with TLS on both sides",
  async () => {
    const folder = tempFolder();
    try {
      const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
      await makeCertificate(cert, key);
      const args = ["--memory", "--tls-cert", cert, "--tls-key", key];
      await using server = await ServerProcess.start({ args });
      const ca = Deno.readTextFileSync(cert);
      for (const hostname of ["127.0.0.1", "localhost"]) {
        await using db = await connect({ hostname, port: server.port, ca });
        await db.put("k", "v".repeat(500_000));
        assertEquals((await db.get("k"))?.length, 500_000);
      }
      await assertRejects(() => connect({ port: server.port, tls: true }), ConnectionError);
      await assertRejects(() => connect({ port: server.port }), ConnectionError, "it may want TLS");
      await using plain = await ServerProcess.start({ args: ["--memory"] });
      const notTls = "the server does not speak TLS";
      await assertRejects(() => connect({ port: plain.port, ca }), ConnectionError, notTls);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

async function makeCertificate(cert: string, key: string): Promise<void> {
  const { success } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key, "-out", cert],
    ],
    stderr: "null",
  }).output();
  assert(success);
}
