/**
 * Arrays in PostgreSQL's binary format.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { keyArray, valueArray } from "../../../tables/postgres/arrays.ts";

Deno.test("keys are encoded in one go as they are one by one", () => {
  // One, two, three and four bytes a character; the array of values is encoded one by one.
  for (const keys of [[], ["a"], ["key:1", "key:22"], ["é", "a", "漢字", "\u{1f511}", "b"]]) {
    assertEquals([...keyArray(keys)], [...valueArray(keys)]);
  }
});
