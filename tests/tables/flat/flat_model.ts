/**
 * A flat store held against a Map: how a test writes to it, maintains it, and compares the two.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NO_REF } from "../../../tables/flat/record.ts";
import type { FlatStore } from "../../../tables/flat/flat_store.ts";
import { Text } from "../../../tables/text.ts";

/** The key of a number. */
export function keyOf(i: number): string {
  return `k${i}`;
}

/** Writes an entry, or a tombstone. */
export function write(
  store: FlatStore,
  key: string,
  value: string | undefined,
  { version = 1, expiresAt = 0, flags = 0 } = {},
): void {
  const text = value === undefined ? undefined : Text.of(value);
  store.write(Text.of(key), text, { version, expiresAt, flags, number: 0 });
}

/** Does every step of the pending work; fails if that takes 100,000 steps. */
export function maintainAll(store: FlatStore, bytesMax = Infinity): void {
  let steps = 0;
  while (store.maintain({ bytesMax })) assert(++steps < 100_000, "it comes to an end");
}

/** Asserts that the store holds what the model does, by count, by key and in a page of keys. */
export function assertHolds(store: FlatStore, model: ReadonlyMap<string, string>): void {
  assertEquals(store.liveCount, model.size);
  for (const [key, value] of model) {
    const ref = store.find(Text.of(key));
    assert(ref !== NO_REF && store.isLive(ref), key);
    assert(String(store.valueOf(ref)) === value, `the value of ${key}`);
  }
  const keys = [...store.page({ prefix: Text.of(""), after: Text.of("") })].map((ref) =>
    String(store.keyOf(ref))
  );
  assertEquals(keys, [...model.keys()].sort());
}
