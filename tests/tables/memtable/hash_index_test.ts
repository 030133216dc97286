/**
 * The index of a memtable: held against a Map, with hashes that collide and that fill one bucket.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { firstPair, HashIndex } from "../../../tables/memtable/hash_index.ts";
import { MemoryBudget } from "../../../tables/memtable/memory_budget.ts";
import { hashOf } from "../../../tables/memtable/key_hash.ts";
import { Text } from "../../../tables/text.ts";

/** The references that a search for a hash comes by, as a memtable searches. */
function search(index: HashIndex, hash: number): number[] {
  const slots = index.slotsFor(hash);
  const found: number[] = [];
  for (let i = firstPair(hash, slots); slots[i] !== 0; i = (i + 2) % slots.length) {
    if (slots[i] === hash) found.push(slots[i + 1]!);
  }
  return found;
}

/** Hashes of one bucket: some are the same, some begin at the same slot, some at the last one. */
const HASHES = [1, 2, 255, 65_536, 0x01_0000, 0x10_0000, 0x18_0000, 0x7f_ffff]
  .concat([0x80_0000, 0xe0_0000, 0xf0_0000, 0xf8_0000, 0xff_fffe, 0xff_ffff])
  .flatMap((low) => [low, low | 0x7f00_0000, low | 0x8000_0000 | 0]);

Deno.test("an index finds what was added and not removed, whatever collides", () => {
  const step = fc.record({
    hash: fc.constantFrom(...HASHES),
    ref: fc.integer({ min: 1, max: 12 }),
    other: fc.integer({ min: 13, max: 20 }),
    what: fc.constantFrom("add", "add", "remove", "replace"),
  });
  const holds = fc.property(fc.array(step, { maxLength: 600, size: "max" }), (steps) => {
    const index = new HashIndex();
    const model = new Map<number, Set<number>>(HASHES.map((hash) => [hash, new Set()]));
    for (const { hash, ref, other, what } of steps) {
      const refs = model.get(hash)!;
      if (what === "add" && !refs.has(ref)) {
        index.add(hash, ref);
        refs.add(ref);
      } else if (what === "remove" && refs.delete(ref)) {
        index.remove(hash, ref);
      } else if (what === "replace" && refs.has(ref) && !refs.has(other)) {
        index.replace(hash, { from: ref, to: other });
        refs.delete(ref);
        refs.add(other);
      }
    }
    for (const [hash, refs] of model) {
      assertEquals(search(index, hash).sort(), [...refs].sort(), `hash ${hash}`);
    }
    assertEquals(index.size, [...model.values()].reduce((sum, refs) => sum + refs.size, 0));
  });
  fc.assert(holds, { numRuns: 200 });
});

Deno.test("an index grows with what it holds, and what is in it is found again", () => {
  const index = new HashIndex();
  const hashes = Array.from({ length: 50_000 }, (_, i) => hashOf(Text.of(`key ${i}`)));
  for (const [i, hash] of hashes.entries()) index.add(hash, i + 1);
  for (const [i, hash] of hashes.entries()) assert(search(index, hash).includes(i + 1));
  for (const [i, hash] of hashes.entries()) if (i % 3 > 0) index.remove(hash, i + 1);
  for (const [i, hash] of hashes.entries()) {
    assertEquals(search(index, hash).includes(i + 1), i % 3 === 0);
  }
  assertEquals(index.size, Math.ceil(hashes.length / 3));
});

Deno.test("an index takes few bytes for each reference, and gives them back", () => {
  const budget = new MemoryBudget();
  const index = new HashIndex(budget);
  assert(budget.bytes < 200);
  const hashes = Array.from({ length: 200_000 }, (_, i) => hashOf(Text.of(`key ${i}`)));
  for (const [i, hash] of hashes.entries()) {
    index.add(hash, i + 1);
    if (i > 20_000) assert(budget.bytes <= 14 * i, `${budget.bytes} bytes for ${i}`);
  }
  const largest = budget.bytes;
  for (const [i, hash] of hashes.entries()) if (i % 20 > 0) index.remove(hash, i + 1);
  assert(budget.bytes < largest / 4, `${budget.bytes} bytes of ${largest} are left`);
  for (const [i, hash] of hashes.entries()) {
    assertEquals(search(index, hash).includes(i + 1), i % 20 === 0);
  }
});

Deno.test("one bucket of an index can hold all of it, where no bit tells its hashes apart", () => {
  const index = new HashIndex();
  const hashOf = (i: number) => 0x1234_0000 | ((2 * i + 1) * 0x4e35 & 0xffff);
  for (let i = 1; i <= 28_000; i++) index.add(hashOf(i), i);
  for (let i = 1; i <= 28_000; i++) assertEquals(search(index, hashOf(i)), [i]);
  for (let i = 1; i <= 28_000; i++) if (i % 100 > 0) index.remove(hashOf(i), i);
  for (let i = 100; i <= 28_000; i += 100) assertEquals(search(index, hashOf(i)), [i]);
  assertEquals(search(index, hashOf(1)), []);
});

Deno.test("hashes that differ in few of their first bits have buckets of their own", () => {
  const budget = new MemoryBudget();
  const index = new HashIndex(budget);
  const hashOf = (i: number) => ((i % 4) << 27) | 0x10_0000 | (i * 0x4e35 & 0xffff);
  for (let i = 1; i <= 100_000; i++) index.add(hashOf(i), i);
  for (let i = 1; i <= 100_000; i++) assert(search(index, hashOf(i)).includes(i), `reference ${i}`);
  assertEquals(index.size, 100_000);
  assert(budget.bytes <= 14 * 100_000, `${budget.bytes} bytes`);
});

Deno.test("a reference that is not in the index can't be removed or replaced", () => {
  const index = new HashIndex();
  index.add(7, 1);
  assertThrows(() => index.remove(7, 2), Error, "Cannot find a reference");
  assertThrows(() => index.replace(8, { from: 1, to: 2 }), Error, "Cannot find a reference");
  assertEquals(search(index, 7), [1]);
});

Deno.test("an index that expects references hardly grows when they come, and finds them", () => {
  for (const count of [0, 1, 1_000, 200_000]) {
    const budget = new MemoryBudget();
    const index = new HashIndex(budget);
    index.expect(count);
    const before = budget.bytes;
    const hashes = Array.from({ length: count }, (_, i) => hashOf(Text.of(`key-${i}`)));
    for (const [i, hash] of hashes.entries()) index.add(hash, i + 1);
    assert(budget.bytes <= 1.02 * before, `${count}: from ${before} to ${budget.bytes} bytes`);
    assert(budget.bytes <= 12 * count + 1_000, `${budget.bytes} bytes`);
    for (const [i, hash] of hashes.entries()) assert(search(index, hash).includes(i + 1));
  }
});
