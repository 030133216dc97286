/**
 * The account of an import, with a source that means harm.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Client } from "../../client/client.ts";
import { importAll } from "../../tools/importer.ts";
import { Meter } from "../../tools/progress.ts";
import type { Source } from "../../tools/source.ts";

Deno.test("a source can't fill the account with reasons, nor the screen with a key", async () => {
  const source: Source = {
    unit: "key",
    async *batches() {
      for (let i = 0; i < 1_000; i++) {
        const key = `${i}${"k".repeat(100_000)}`;
        yield {
          items: [{ place: i + 1, key, fault: `${i}${"f".repeat(100_000)}` }],
          fraction: undefined,
        };
      }
    },
  };
  const written: string[] = [];
  const screen = { write: (text: string) => written.push(text) };
  using meter = new Meter({ unit: "keys", screen });
  const signal = new AbortController().signal;
  const { faults } = await importAll({} as Client, source, { goesOn: true, signal, meter });
  assert(faults.size <= 101, `${faults.size} reasons`);
  assertEquals([...faults.values()].reduce((sum, count) => sum + count), 1_000);
  for (const text of [...faults.keys(), ...written]) assert(text.length < 1_000, text);
  assertMatch(written[0]!, /^Left out "0k+…": 0f+…\n$/);
});
