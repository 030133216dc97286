/**
 * What the client refuses to send.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { ArgumentError, connect, KeylineError, type Versioned } from "../../client/client.ts";
import { numberFrom } from "../support/harness.ts";
import { clientTest } from "./client_of_server.ts";

const SEED = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 2 ** 31);

clientTest(
  "a key or value that would smuggle in a second request is refused, and nothing is sent",
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

clientTest(
  "text in place of a number is refused, and can't become a second request",
  async (db) => {
    await db.put("n", "1");
    const text = "1\r\nCLEAR" as unknown;
    await assertRejects(() => db.incr("n", text as bigint), ArgumentError);
    await assertRejects(() => db.cas("n", { version: text as bigint, value: "v" }), ArgumentError);
    await assertRejects(() => db.expire("n", text as number), ArgumentError);
    await assertRejects(() => db.expire("n", "5" as unknown as number), ArgumentError);
    await assertRejects(() => db.put("n", "v", { ttl: null as unknown as number }), ArgumentError);
    assertEquals(await db.get("n"), "1");
  },
);

clientTest("request refuses what is not a string", async (db) => {
  for (const line of [undefined, null, 1] as unknown as string[]) {
    await assertRejects(() => db.request(line), ArgumentError, "not a string");
  }
});

clientTest("keys refuses a prefix or an after that no key can have", async (db) => {
  await db.put("ab", "v");
  // Sent as it is, "a 0" would be the prefix "a" and the start "0".
  await assertRejects(() => db.keys("a 0").next(), ArgumentError, "prefix");
  await assertRejects(() => db.keys("a", { after: "0 1" }).next(), ArgumentError, "a space");
  assertEquals(await Array.fromAsync(db.keys("a", { after: "" })), ["ab"]);
});

clientTest("a timeout that no timer can keep is refused", async (db) => {
  for (const timeout of [0, -1, NaN, 2 ** 40, "5" as unknown as number]) {
    await assertRejects(() => db.get("k", { timeout }), ArgumentError, "timeout");
  }
  assertEquals(await db.get("k", { timeout: 30_000 }), undefined);
});

clientTest("what is no signal is refused, and nothing is sent", async (db, server) => {
  for (const signal of [null, {}, 5] as unknown as AbortSignal[]) {
    await assertRejects(() => db.put("k", "v", { signal }), ArgumentError, "signal");
    await assertRejects(() => connect({ port: server.port, signal }), ArgumentError, "signal");
  }
  assertEquals(await db.count(), 0);
});

clientTest("a change to no version and no value is refused", async (db) => {
  for (const change of [undefined, null, {}, { version: 1n }] as unknown as Versioned[]) {
    await assertRejects(() => db.cas("k", change), ArgumentError);
  }
});

clientTest("connect refuses options that are of no use", async (_, { port }) => {
  for (const hostname of ["", 5] as string[]) {
    await assertRejects(() => connect({ hostname, port }), ArgumentError, "hostname");
  }
  for (const ca of [5, {}, [undefined]] as unknown as string[]) {
    await assertRejects(() => connect({ port, ca }), ArgumentError, "ca");
  }
  await assertRejects(() => connect({ port, ca: "no certificate" }), KeylineError);
});

clientTest("an expiry is refused only if the server refuses it", async (db) => {
  const seconds = fc.oneof(
    fc.constantFrom(0, 0.0001, 0.0004, 0.0005, 0.001, 1e11, 999_999_999_999, 999_999_999_999.999),
    fc.constantFrom(1e12, 999_999_999_999.9999, 0.123456789, 1.0005, 1e15, -1),
    fc.integer({ min: 0, max: 10 ** 15 }).map((milliseconds) => milliseconds / 1_000),
    fc.double({ min: 0, max: 1.1e12 }),
  );
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(seconds, async (seconds) => {
      await db.put("k", "v");
      const { code } = await db.request(`EXPIRE k ${seconds}`);
      await db.put("k", "v");
      const outcome = await db.expire("k", seconds).catch((error) => error);
      if (code === 200) assertEquals(outcome, true, `the server takes ${seconds}`);
      else assert(outcome === true || outcome instanceof ArgumentError, `${seconds}: ${outcome}`);
      if (code === 200) taken++;
    }),
    { numRuns: 300, seed: SEED },
  );
  assert(taken > 50, `the server took ${taken}`);
});
