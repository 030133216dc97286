/**
 * Reading ahead in a memtable: it changes nothing.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { NO_REF } from "../../../tables/memtable/arena.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";
import { assertHolds, keyOf, write } from "./memtable_model.ts";

Deno.test("a memtable is the same after reading ahead, whatever keys it is asked for", () => {
  const memtable = new Memtable();
  const model = new Map<string, string>();
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  memtable.prefetch(textsOf(numbers));
  for (const i of numbers.slice(0, 200)) {
    write(memtable, keyOf(i), `value ${i}`);
    model.set(keyOf(i), `value ${i}`);
  }
  memtable.prefetch(textsOf(numbers));
  memtable.commit();
  for (let first = 0; first < numbers.length; first += 50) {
    const keys = textsOf(numbers.slice(first, first + 50));
    memtable.prefetch(keys);
    for (const [i, key] of keys.entries()) {
      assertEquals(memtable.find(key) !== NO_REF, first + i < 200, String(key));
    }
  }
  assertHolds(memtable, model);
  memtable.clear();
  memtable.prefetch(textsOf(numbers));
  assertHolds(memtable, new Map());
});

/** The keys with these numbers, as texts that nobody has looked up. */
function textsOf(numbers: readonly number[]): Text[] {
  return numbers.map((i) => Text.of(keyOf(i)));
}
