/**
 * Keys and values come back from a real server as they were stored.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { BadRequestError, connect } from "../../client/client.ts";
import { numberFrom } from "../support/harness.ts";
import { clientTest } from "./client_of_server.ts";

const SEED = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 2 ** 31);

clientTest(
  "a value of a megabyte comes back unchanged, and a longer line is a bad request",
  async (db) => {
    const value = "ä€𝄞".repeat(116_000);
    await db.put("large", value);
    const values = await db.getMany(Array(20).fill("large"));
    assert(values.every((got) => got === value));
    await assertRejects(() => db.put("large", "v".repeat(1_048_576)), BadRequestError);
    assertEquals(await db.get("large"), value);
  },
);

clientTest(
  "a first value that ends like an HTTP request line is stored like any other",
  async (_, server) => {
    await using db = await connect({ port: server.port });
    await db.put("k", "GET / HTTP/1.1");
    assertEquals(await db.get("k"), "GET / HTTP/1.1");
  },
);

clientTest("arbitrary keys and values come back unchanged", async (db) => {
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
