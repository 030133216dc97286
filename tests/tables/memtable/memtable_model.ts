/**
 * A memtable held against a Map: how a test writes to it, maintains it, and compares the two.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NO_REF } from "../../../tables/memtable/arena.ts";
import type { Fields } from "../../../tables/memtable/layout.ts";
import type { LogGeometry } from "../../../tables/memtable/live_bytes.ts";
import type { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";

/** A log that is made up. */
export const LOG: LogGeometry = {
  segmentBytes: 67_108_864,
  recordBytes: (keyLength, valueLength, expiresAt) =>
    (31 + keyLength + valueLength + (expiresAt === 0 ? 0 : 8)) & ~7,
};

/** The key of a number. */
export function keyOf(i: number): string {
  return `k${i}`;
}

/** Puts an entry, whose value may be a length alone, or removes it where there is no value. */
export function write(
  memtable: Memtable,
  key: string,
  value: string | number | undefined,
  { logged = 0, ...fields }: Partial<Fields> & { readonly logged?: number } = {},
): void {
  const text = Text.of(key);
  if (value !== undefined) {
    const written = typeof value === "string" ? Text.of(value) : value;
    memtable.put(text, written, { version: 1, expiresAt: 0, place: 0, ...fields }, logged);
    return;
  }
  const ref = memtable.find(text);
  if (ref !== NO_REF) memtable.remove(ref, logged);
}

/** Does every step of the pending work; fails where that takes 100,000 steps. */
export function maintainAll(memtable: Memtable, options?: { readonly hotBytesMax: number }): void {
  let steps = 0;
  while (memtable.maintain(options)) assert(++steps < 100_000, "it comes to an end");
  memtable.check();
}

/** Asserts that the memtable holds what the model does, by count, by key and in a page of keys. */
export function assertHolds(memtable: Memtable, model: ReadonlyMap<string, string>): void {
  memtable.check();
  assertEquals(memtable.size, model.size);
  for (const [key, value] of model) {
    const ref = memtable.find(Text.of(key));
    assert(ref !== NO_REF, key);
    assert(String(memtable.records.value(ref)) === value, `the value of ${key}`);
  }
  assertEquals(keysIn(memtable), [...model.keys()].sort());
}

/** All keys, in order. */
export function keysIn(memtable: Memtable): string[] {
  const page = memtable.page({ prefix: Text.of(""), after: Text.of("") });
  return Array.from(page, (ref) => String(memtable.records.key(ref)));
}
