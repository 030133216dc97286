/**
 * References in order, held against a sorted array.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Position, SortedRefs } from "../../../tables/flat/sorted_refs.ts";

/** The position of a reference, where each stands for itself. */
function at(ref: number): Position {
  return (other) => other - ref;
}

Deno.test("sorted references are what a sorted array is", () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 3_000 })), {
    minLength: 100,
    maxLength: 4_000,
    size: "max",
  });
  const holds = fc.property(steps, fc.integer({ min: 0, max: 3_001 }), (steps, from) => {
    const list = new SortedRefs((a, b) => a - b);
    const model = new Set<number>();
    for (const [isAdded, ref] of steps) {
      if (isAdded && !model.has(ref)) list.add(ref);
      else if (!isAdded && model.has(ref)) list.remove(ref);
      if (isAdded) model.add(ref);
      else model.delete(ref);
    }
    const sorted = [...model].sort((a, b) => a - b);
    assertEquals([...list.from(at(from))], sorted.filter((ref) => ref >= from));
    assertEquals(list.countBefore(at(from)), sorted.filter((ref) => ref < from).length);
  });
  fc.assert(holds, { numRuns: 20 });
});

for (const [order, step] of [["ascending", 1], ["descending", -1], ["mixed", 7]] as const) {
  Deno.test(`many references that come in ${order} order stay in order while they come and go`, () => {
    const list = new SortedRefs((a, b) => a - b);
    const COUNT = 5_000;
    // 7 and COUNT have no common divisor, so every reference comes once.
    for (let i = 0; i < COUNT; i++) list.add((i * step + COUNT * COUNT) % COUNT + 1);
    assertEquals([...list.from(at(0))], Array.from({ length: COUNT }, (_, i) => i + 1));
    assertEquals(list.countBefore(at(COUNT / 2)), COUNT / 2 - 1);
    for (let ref = 1; ref <= COUNT; ref += 2) list.remove(ref);
    assertEquals([...list.from(at(COUNT - 3))], [COUNT - 2, COUNT]);
    for (let ref = 2; ref <= COUNT; ref += 2) list.remove(ref);
    assertEquals([...list.from(at(0))], []);
    assertEquals(list.countBefore(at(COUNT)), 0);
    list.add(3);
    assertEquals([...list.from(at(0))], [3]);
  });
}

Deno.test("references of the second half of all integers are references too", () => {
  const list = new SortedRefs((a, b) => (a >>> 0) - (b >>> 0));
  const refs = [1, 0x7fff_ffff, 0x8000_0000 | 0, -1];
  for (const ref of refs.toReversed()) list.add(ref);
  assertEquals([...list.from(() => 1)], refs);
  for (const ref of refs) list.remove(ref);
  assertEquals(list.countBefore(() => -1), 0);
});

Deno.test("a reference that is not in the list can't be removed, and nothing else goes", () => {
  const list = new SortedRefs((a, b) => a - b);
  assertThrows(() => list.remove(1), Error, "Cannot remove a reference");
  for (const ref of [1, 3, 5]) list.add(ref);
  for (const ref of [0, 2, 4, 6]) {
    assertThrows(() => list.remove(ref), Error, "Cannot remove a reference");
  }
  assertEquals([...list.from(at(0))], [1, 3, 5]);
});
