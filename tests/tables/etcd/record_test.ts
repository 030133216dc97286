/**
 * What is stored under which key: entries and hints are read as they were written, ranges hold what they
 * should, and nothing of another table.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  around,
  compareBytes,
  decodeEntry,
  encodeEntry,
  KeySpace,
  type Span,
} from "../../../tables/etcd/record.ts";
import { Text } from "../../../tables/text.ts";

const space = new KeySpace("a/");
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (array: Uint8Array<ArrayBuffer>) => new TextDecoder().decode(array);

function isIn({ key, end }: Span, at: Uint8Array<ArrayBuffer>): boolean {
  return compareBytes(key, at) <= 0 && compareBytes(at, end) < 0;
}

Deno.test("an entry is read as it was written, whatever its value holds", () => {
  for (const value of ["x", " ", "1 2 3", "- - -", "\ufeff\u2028", "é".repeat(100_000)]) {
    for (const expiresAt of [null, 1, 1_795_708_631_604]) {
      const stored = encodeEntry({ value: Text.of(value), version: 42, expiresAt });
      const entry = decodeEntry(stored)!;
      assertEquals([String(entry.value), entry.version, entry.expiresAt], [value, 42, expiresAt]);
    }
  }
});

Deno.test("what Keyline has not written is no entry", () => {
  for (const other of ["", "value", "1", "1 ", "x - y", "1 x y", "1.5 - y", '{"a": 1}']) {
    assertEquals(decodeEntry(bytes(other)), undefined, other);
  }
});

Deno.test("a hint says which key expires when, and hints are in the order of time", () => {
  const keys = ["a", "key/with/slashes", "\ufeff\u{1f600}"];
  const times = [1, 999, 1_000, 1_795_708_631_604, 1_001_795_708_631_604];
  for (const key of keys) {
    for (const expiresAt of times) {
      assertEquals(space.hintOf(space.expiry(key, expiresAt)), { expiryOf: key, expiresAt });
    }
  }
  const hints = times.map((time) => space.expiry("key", time));
  assertEquals(hints.toSorted(compareBytes), hints);
  for (const now of times) {
    const expired = times.filter((time) => isIn(space.expiredBy(now), space.expiry("key", time)));
    assertEquals(expired, times.filter((time) => time <= now));
  }
});

Deno.test("a page holds the keys with its prefix that come after a key", () => {
  const keys = ["a", "a!", "aa", "b", "ba", "b\u{10ffff}", "c"];
  const pageOf = (prefix: string, after: string) =>
    keys.filter((key) => isIn(space.page({ prefix, after }), space.entry(key)));
  assertEquals(pageOf("", ""), keys);
  assertEquals(pageOf("", "a"), keys.slice(1));
  assertEquals(pageOf("b", ""), ["b", "ba", "b\u{10ffff}"]);
  assertEquals(pageOf("b", "a"), ["b", "ba", "b\u{10ffff}"]);
  assertEquals(pageOf("b", "b"), ["ba", "b\u{10ffff}"]);
  assertEquals(pageOf("b", "c"), []);
});

Deno.test("entries, hints and marks lie apart, and apart from other tables", () => {
  const places = [space.entries, space.expiries, space.marks];
  const other = new KeySpace("b/");
  const all = [space, other].flatMap((one) => [
    ...[one.entry("x/m/"), one.expiry("k/", 5), one.mark("k/"), one.versions],
  ]);
  const counts = places.map((place) => all.filter((key) => isIn(place, key)).length);
  assertEquals(counts, [1, 1, 1]);
});

Deno.test("what lies around some keys is everything but them", () => {
  const span = space.entries;
  const keys = ["a", "a!", "b", "b\0", "c"].map((key) => space.entry(key)).sort(compareBytes);
  for (let mask = 0; mask < 1 << keys.length; mask++) {
    const holes = keys.filter((_, i) => (mask >> i) % 2 === 1);
    const parts = around(span, holes);
    for (const key of [...keys, ...keys.map((key) => bytes(`${text(key)}\0`))]) {
      const isHole = holes.some((hole) => compareBytes(hole, key) === 0);
      assertEquals(parts.filter((part) => isIn(part, key)).length, isHole ? 0 : 1);
    }
    for (const { key, end } of parts) assert(compareBytes(key, end) < 0);
  }
});
