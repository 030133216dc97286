/**
 * The records of a flat store: their fields, their sizes, and when they expire.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FLAG } from "../../../tables/flat/record.ts";
import { FlatStore } from "../../../tables/flat/flat_store.ts";
import { Text } from "../../../tables/text.ts";
import { MIB } from "../../support/process_memory.ts";
import { assertHolds, keyOf, maintainAll, write } from "./flat_model.ts";

/** A larger record has a segment of its own. */
const SHARED_BYTES_MAX = 65_536;

Deno.test("values of every size around that of a segment are stored unchanged", () => {
  const store = new FlatStore();
  const model = new Map<string, string>();
  for (const around of [100, SHARED_BYTES_MAX, MIB]) {
    for (let length = around - 80; length <= around + 16; length += 8) {
      const value = `${"é".repeat(length / 2)}`;
      write(store, `key-${length}`, value);
      model.set(`key-${length}`, value);
    }
  }
  store.commit();
  maintainAll(store);
  assertHolds(store, model);
  for (const key of model.keys()) write(store, key, model.set(key, "small").get(key));
  store.commit();
  maintainAll(store);
  assertHolds(store, model);
  assert(store.bytes <= MIB, `${store.bytes} bytes are left`);
});

Deno.test("an expired key is listed as expired until it is changed", () => {
  const store = new FlatStore();
  for (let i = 0; i < 1_000; i++) write(store, keyOf(i), "value", { expiresAt: 10 + i });
  store.commit();
  assertEquals([9, 10, 509, 5_000].map((now) => store.expiredCount(now)), [0, 1, 500, 1_000]);
  write(store, keyOf(0), "value");
  write(store, keyOf(1), undefined);
  write(store, keyOf(2), "a longer value", { expiresAt: 9_000 });
  store.commit();
  assertEquals(store.expiredCount(12), 0);
  assertEquals(store.expiredCount(5_000), 997);
  assertEquals(store.expiredRefs(5_000, 2).map((ref) => String(store.keyOf(ref))), [
    keyOf(3),
    keyOf(4),
  ]);
});

Deno.test("a record returns its fields, whatever the length of its value", () => {
  const store = new FlatStore();
  const key = Text.of("k".repeat(1_024));
  const flags = FLAG.DIRTY_1 | FLAG.IN_ROWS;
  const many = 2 ** 32;
  const version = 2 ** 47 + 3;
  for (let length = 1; length < 40; length++) {
    for (const expiresAt of [0, 1_700_000_000_123.5, 0, Number.MAX_SAFE_INTEGER]) {
      const value = Text.of("v".repeat(length));
      const ref = store.write(key, value, { version, expiresAt, flags, number: many + length });
      assertEquals(store.versionOf(ref), version);
      assertEquals([store.expiresAtOf(ref), store.flagsOf(ref)], [expiresAt, flags]);
      assertEquals(String(store.valueOf(ref)), String(value));
      assertEquals([store.keyOf(ref).length, store.find(key)], [1_024, ref]);
      assert(store.hasNumber(ref, many + length) && !store.hasNumber(ref, many + length + 1));
    }
  }
});
