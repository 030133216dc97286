/**
 * Which lines an import takes for entries, which for none, and what it says of the others.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { LineSource } from "../../tools/line_source.ts";
import type { Item } from "../../tools/source.ts";

const NEVER = new AbortController().signal;

/** What an import makes of a text. */
async function itemsOf(text: string, skip = 0): Promise<Item[]> {
  const items: Item[] = [];
  const bytes = new TextEncoder().encode(text);
  const source = new LineSource(
    (async function* () {
      // Byte by byte, as a pipe may cut it.
      for (const byte of bytes) yield new Uint8Array([byte]);
    })(),
    { skip },
  );
  for await (const batch of source.batches(NEVER)) items.push(...batch.items);
  return items;
}

const LINE = '{"key":"k","value":"v"}';
const ENTRY = { key: "k", value: "v" };

Deno.test("a mark of byte order before the first line is no part of it", async () => {
  assertEquals(await itemsOf(`\ufeff${LINE}\n`), [{ place: 1, entry: ENTRY }]);
  assertEquals(await itemsOf(`\ufeff\r\n${LINE}`), [{ place: 2, entry: ENTRY }]);
  const [second] = await itemsOf(`${LINE}\n\ufeff${LINE}\n`, 1);
  assertEquals(second, { place: 2, fault: "it is not JSON" });
});

Deno.test("lines without an entry are counted and nothing else", async () => {
  const text = ["", "\r", " ", "  \t \r", LINE, ` ${LINE} \r`].join("\n");
  assertEquals(await itemsOf(text), [{ place: 5, entry: ENTRY }, { place: 6, entry: ENTRY }]);
});

const FAULTS = {
  '{"value":"v"}': "it has no key",
  '{"key":"k"}': "it has no value",
  "{}": "it has no key",
  '{"key":1,"value":"v"}': "its key can't be stored: it is not a string",
  '{"key":"k","value":null}': "its value can't be stored: it is not a string",
  '{"key":"a","key":"k","value":"v"}': "it has a field twice",
  '{"key":"k","value":"a","value":"v"}': "it has a field twice",
  '{"\\u006bey":"a","key":"k","value":"v"}': "it has a field twice",
  '{"key" : "k","value":"v","expiresAt":9e12,"expiresAt" :1}': "it has a field twice",
  '{"__proto__":"a","key":"k","value":"v"}': 'it has an unknown field, "__proto__"',
};

for (const [line, fault] of Object.entries(FAULTS)) {
  Deno.test(`${line} is refused: ${fault}`, async () => {
    assertEquals(await itemsOf(line), [{ place: 1, fault }]);
  });
}

Deno.test("a value may look like fields", async () => {
  for (const value of ['"key":', '\\"key\\":"value":', "a\\", ':":"', "{}:{", '\\\\":\\"']) {
    for (const space of ["", " ", "\t "]) {
      const line = `{"key"${space}:${space}"k",${space}"value"${space}:${JSON.stringify(value)}}`;
      assertEquals(await itemsOf(line), [{ place: 1, entry: { key: "k", value } }]);
    }
  }
});
