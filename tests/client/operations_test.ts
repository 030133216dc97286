/**
 * The operations of the client on a real server, and what each returns.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ArgumentError, ConflictError, connect } from "../../client/client.ts";
import { clientTest } from "./client_of_server.ts";

clientTest("get, put and delete read, store and remove a value", async (db) => {
  assertEquals(await db.get("k"), undefined);
  await db.put("k", " a value\t ");
  assertEquals(await db.get("k"), " a value\t ");
  await db.put("k", "OK");
  assertEquals(await db.get("k"), "OK");
  await db.delete("k");
  await db.delete("k");
  assertEquals(await db.get("k"), undefined);
});

clientTest("add stores a value only if the key has none", async (db) => {
  assertEquals(await db.add("lock", "a"), true);
  assertEquals(await db.add("lock", "b"), false);
  assertEquals(await db.get("lock"), "a");
});

clientTest("cas reports whether it stored, and if not, why", async (db) => {
  assertEquals(await db.cas("k", { version: 1n, value: "v" }), { outcome: "missing" });
  await db.put("k", "first");
  const { version, value } = (await db.gets("k"))!;
  assertEquals(value, "first");
  const stored = await db.cas("k", { version, value: "second" });
  assert(stored.outcome === "stored" && stored.version > version);
  assertEquals(await db.cas("k", { version, value: "third" }), { outcome: "changed" });
  assertEquals(await db.gets("k"), { version: stored.version, value: "second" });
});

clientTest("incr counts in 64 bits, and refuses anything but an integer", async (db) => {
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

clientTest("keys come in order, across pages, with a prefix, and after a key", async (db) => {
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

clientTest("keys that begin with a star are listed, though a star means every key", async (db) => {
  await db.putMany([")z", "*", "*a", "**", "+", "a*"].map((key) => [key, "v"]));
  assertEquals(await Array.fromAsync(db.keys("*")), ["*", "**", "*a"]);
  assertEquals(await Array.fromAsync(db.keys("**")), ["**"]);
});

clientTest("getMany and putMany take more keys than the queue holds", async (_, server) => {
  await using db = await connect({ port: server.port, queueMax: 1_000 });
  const entries = Array.from({ length: 5_000 }, (_, i) => [`key${i}`, `value${i}`] as const);
  await db.putMany(entries);
  const values = await db.getMany([...entries.map(([key]) => key), "none"]);
  assertEquals(values, [...entries.map(([, value]) => value), undefined]);
  await assertRejects(() => db.putMany([["good", "v"], ["no good", "v"]]), ArgumentError);
  assertEquals(await db.get("good"), "v");
});

clientTest("stats returns the statistics, and request sends any line", async (db) => {
  assertEquals((await db.stats()).get("keys"), "0");
  assertEquals((await db.request("help get")).lines[0], "GET key");
  assertEquals((await db.request("NONE")).code, 220);
  assertEquals(await db.request("GET k"), { code: 404, text: "NOT FOUND", lines: [] });
});
