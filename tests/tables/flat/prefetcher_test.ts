/**
 * Reading ahead in a flat store: it reads the slot and the record of each key, and changes nothing.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Contents } from "../../../tables/flat/contents.ts";
import { FlatStore } from "../../../tables/flat/flat_store.ts";
import { hashOf } from "../../../tables/flat/hash_index.ts";
import { Prefetcher } from "../../../tables/flat/prefetcher.ts";
import { FLAG, NO_REF } from "../../../tables/flat/record.ts";
import { Text } from "../../../tables/text.ts";
import { assertHolds, keyOf, write } from "./flat_model.ts";

/** The keys with these numbers, as texts that nobody has looked up. */
function textsOf(numbers: readonly number[]): Text[] {
  return numbers.map((i) => Text.of(keyOf(i)));
}

/** What comes out of the words at these places of a record. */
function wordsOf({ arena }: Contents, ref: number, places: readonly number[]): number {
  const { view } = arena.memory(ref);
  const at = arena.offset(ref);
  return places.reduce((sum, place) => sum ^ view.getInt32(at + 4 * place, true), 0);
}

Deno.test("the slot and the record of a key are read, and nothing of one that is not there", () => {
  const contents = new Contents();
  const prefetcher = new Prefetcher();
  const [key, other] = textsOf([1, 2]) as [Text, Text];
  const fields = { version: 1, expiresAt: 0, flags: FLAG.DIRTY_1 | FLAG.RECENT, number: 1 };
  const ref = contents.arena.add(key, Text.of("v".repeat(60)), fields);
  contents.index.add(hashOf(key), ref);
  prefetcher.prefetch([key], contents);
  assertEquals(prefetcher.read, hashOf(key) ^ wordsOf(contents, ref, [0, 12, 22]));
  prefetcher.prefetch([other], contents);
  assertEquals(prefetcher.read, 0);
  prefetcher.prefetch([], contents);
  assertEquals(prefetcher.read, 0);
});

Deno.test("nothing is read behind the end of the memory that holds a record", () => {
  const contents = new Contents();
  const { arena, index } = contents;
  const fields = { version: 1, expiresAt: 0, flags: 0, number: 0 };
  const [last] = textsOf([1]) as [Text];
  let ref = NO_REF;
  do ref = arena.add(last, Text.of("value"), fields); while (
    arena.offset(ref) + arena.capacity(ref) < arena.memory(ref).bytes.length
  );
  index.add(hashOf(last), ref);
  const prefetcher = new Prefetcher();
  prefetcher.prefetch([last], contents);
  const end = arena.capacity(ref) / 4 - 1;
  assertEquals(prefetcher.read, hashOf(last) ^ wordsOf(contents, ref, [0, end, end]));
});

Deno.test("a store is the same after reading ahead, whatever keys it is asked for", () => {
  const store = new FlatStore();
  const model = new Map<string, string>();
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  store.prefetch(textsOf(numbers));
  for (const i of numbers.slice(0, 200)) {
    write(store, keyOf(i), `value ${i}`);
    model.set(keyOf(i), `value ${i}`);
  }
  store.prefetch(textsOf(numbers));
  store.commit();
  for (let first = 0; first < numbers.length; first += 50) {
    const keys = textsOf(numbers.slice(first, first + 50));
    store.prefetch(keys);
    for (const [i, key] of keys.entries()) {
      assertEquals(store.find(key) !== NO_REF, first + i < 200, String(key));
    }
  }
  assertHolds(store, model);
  store.clear();
  store.prefetch(textsOf(numbers));
  assertHolds(store, new Map());
});
