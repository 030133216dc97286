/**
 * The words of other servers: each leads to an operation that there is, and none is one itself.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import help from "../../../commands/help.ts";
import { answer } from "../../support/answer.ts";
import { synonymOf } from "../../../server/dispatch/synonyms.ts";
import { Line } from "../../../server/input/line.ts";
import { contextOfAll, contextWith } from "../../support/context.ts";
import { ROOT, testWith } from "../../support/harness.ts";

testWith(["read"], "each word leads to an operation, and is none itself", async () => {
  const { registry } = await contextOfAll();
  const source = Deno.readTextFileSync(new URL("server/dispatch/synonyms.ts", ROOT));
  const words = [...source.matchAll(/^ {2}\["[A-Z]+", "([^"]+)"/gm)].flatMap(([, words]) =>
    words!.split(" ")
  );
  assert(words.length > 40, String(words.length));
  assertEquals(words.length, new Set(words).size, "each once");
  for (const word of words) {
    assertEquals(registry.find(word), undefined, word);
    assert(registry.find(synonymOf(word)!.verb) !== undefined, word);
  }
});

Deno.test("a word may be in any case, and what is no word is none", () => {
  assertEquals(synonymOf("set")?.verb, "PUT");
  for (const word of ["", "constructor", "__proto__", "PUT", "ſET"]) {
    assertEquals(synonymOf(word), undefined, word);
  }
});

Deno.test("HELP with a word of other servers is 404 if its operation is not on offer", async () => {
  const { wire } = await answer(Line.of("HELP FLUSHALL"), contextWith({ help }));
  assertEquals(wire, "404 NOT FOUND\r\n");
});
