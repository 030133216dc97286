/**
 * References in order: held against a sorted array, and what adding, removing and reading take, as counts of
 * comparisons and of records that are looked at.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of changes are tried, `KEYLINE_FUZZ_SEED` repeats them.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { type Order, SortedRefs } from "../../../tables/memtable/sorted_refs.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom } from "../../support/harness.ts";

/** How many references a leaf has at most, which is what the bounds depend on. */
const LEAF_REFS = 2_048;

/** Orders references as the numbers that they are. */
const REF_ORDER: Order<number> = {
  sortKeyOf: (ref) => ref,
  copyOf: (ref) => ref,
  compare: (a, b) => a - b,
};

/** Counts what an order is asked. */
class CountingOrder implements Order<number> {
  /** How many records were looked at. */
  looks = 0;
  comparisons = 0;

  sortKeyOf(ref: number): number {
    this.looks++;
    return ref;
  }

  copyOf(sortKey: number): number {
    return sortKey;
  }

  compare(a: number, b: number): number {
    this.comparisons++;
    return a - b;
  }

  /** What is counted meanwhile. */
  during(work: () => void): { looks: number; comparisons: number } {
    const { looks, comparisons } = this;
    work();
    return { looks: this.looks - looks, comparisons: this.comparisons - comparisons };
  }
}

/** The numbers from 1 to `count`, each once, in an order that is drawn. */
function shuffled(count: number, draw: Draw): number[] {
  const refs = Array.from({ length: count }, (_, i) => i + 1);
  for (let i = count - 1; i > 0; i--) {
    const j = draw(i + 1);
    [refs[i], refs[j]] = [refs[j]!, refs[i]!];
  }
  return refs;
}

function seeded(): number {
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  return seed;
}

Deno.test("sorted references are what a sorted array is, whatever was added, removed and read", () => {
  const REFS = 20_011; // A prime: every stride visits every reference.
  const run = fc.record({
    what: fc.constantFrom("add", "add", "remove", "page", "count"),
    first: fc.nat(REFS - 1),
    stride: fc.constantFrom(1, REFS - 1, 7, 4_999),
    length: fc.oneof(fc.nat(3), fc.nat(5_000), fc.nat(REFS)),
  });
  const holds = fc.property(fc.array(run, { maxLength: 30, size: "max" }), (runs) => {
    const list = new SortedRefs(REF_ORDER);
    const model = new Set<number>();
    const sorted = () => [...model].sort((a, b) => a - b);
    for (const { what, first, stride, length } of runs) {
      if (what === "page") {
        const page = sorted().filter((ref) => ref >= first).slice(0, length);
        assertEquals([...list.from(first).take(length)], page);
      } else if (what === "count") {
        assertEquals(list.countBefore(first), sorted().filter((ref) => ref < first).length);
      } else {
        for (let i = 0; i < length; i++) {
          const ref = (first + i * stride) % REFS;
          if (what === "add" && !model.has(ref)) list.add(ref);
          if (what === "remove" && model.has(ref)) list.remove(ref);
          if (what === "add") model.add(ref);
          else model.delete(ref);
        }
        list.check(model.size);
      }
    }
    assertEquals([...list.from()], sorted());
    assertEquals(list.countBefore(REFS), model.size);
  });
  fc.assert(holds, { numRuns: numberFrom("KEYLINE_FUZZ_RUNS", 30), seed: seeded() });
});

for (const [order, step] of [["ascending", 1], ["descending", -1], ["mixed", 7]] as const) {
  Deno.test(`many references that come in ${order} order stay in order while they come and go`, () => {
    const list = new SortedRefs(REF_ORDER);
    const COUNT = 20_000;
    // 7 and COUNT have no common divisor, so every reference comes once.
    for (let i = 0; i < COUNT; i++) list.add((i * step + COUNT * COUNT) % COUNT + 1);
    assertEquals([...list.from()], Array.from({ length: COUNT }, (_, i) => i + 1));
    assertEquals(list.countBefore(COUNT / 2), COUNT / 2 - 1);
    for (let ref = 1; ref <= COUNT; ref += 2) list.remove(ref);
    assertEquals([...list.from(COUNT - 3)], [COUNT - 2, COUNT]);
    for (let ref = 2; ref <= COUNT; ref += 2) list.remove(ref);
    assertEquals([...list.from()], []);
    assertEquals(list.countBefore(COUNT), 0);
    list.add(3);
    assertEquals([...list.from(0)], [3]);
  });
}

Deno.test("references of the second half of all integers are references too", () => {
  const list = new SortedRefs({ ...REF_ORDER, compare: (a, b) => (a >>> 0) - (b >>> 0) });
  const refs = [1, 0x7fff_ffff, 0x8000_0000 | 0, -1];
  for (const ref of refs.toReversed()) list.add(ref);
  assertEquals([...list.from()], refs);
  for (const ref of refs) list.remove(ref);
  assertEquals(list.countBefore(-1), 0);
});

Deno.test("a reference that is not in the list can't be removed, and nothing else goes", () => {
  const list = new SortedRefs(REF_ORDER);
  assertThrows(() => list.remove(1), Error, "Cannot remove a reference");
  for (const ref of [1, 3, 5]) list.add(ref);
  for (const ref of [0, 2, 4, 6]) {
    assertThrows(() => list.remove(ref), Error, "Cannot remove a reference");
  }
  list.remove(5);
  assertThrows(() => list.remove(5), Error, "Cannot remove a reference");
  assertEquals([...list.from()], [1, 3]);
});

Deno.test("adding looks at few records, in whatever order they come", () => {
  const COUNT = 200_000;
  const refs = shuffled(COUNT, drawFrom(seeded()));
  const ascending = refs.toSorted((a, b) => a - b);
  const descending = ascending.toReversed();
  // Each of the others comes right after a leaf that is full and in order.
  const inward = [...ascending.slice(0, LEAF_REFS), ...descending.slice(0, -LEAF_REFS)];
  const orders = { refs, ascending, descending, inward, "against a sample": againstSample(30_000) };
  for (const [name, refs] of Object.entries(orders)) {
    const order = new CountingOrder();
    const list = new SortedRefs(order);
    for (const ref of refs) list.add(ref);
    // A leaf is searched for among the starts of leaves, which are copies; then splits look at records.
    assert(order.looks < 5 * refs.length, `${name}: ${order.looks} looks`);
    assert(order.comparisons < 12 * refs.length, `${name}: ${order.comparisons} comparisons`);
  }
});

/**
 * References that come in an order against a leaf which is split by a sample at places that are known: what
 * the sample will hold is less than all the rest, so that a split would move next to nothing.
 */
function againstSample(count: number): number[] {
  const SAMPLE = 15;
  let [next, arrived] = [1, 0];
  const refs = new Array<number>(count);
  let leaf: number[] = [];
  while (arrived < count) {
    while (leaf.length < LEAF_REFS && arrived < count) leaf.push(arrived++);
    const sample = Array.from(
      { length: SAMPLE },
      (_, i) => leaf[Math.floor(i * LEAF_REFS / SAMPLE)]!,
    );
    for (const place of sample) if (place !== undefined) refs[place] ??= next++;
    const middle = refs[sample[SAMPLE >>> 1]!] ?? 0;
    leaf = leaf.filter((place) => !(refs[place]! < middle));
  }
  for (let i = 0; i < count; i++) refs[i] ??= next++;
  return refs;
}

Deno.test("a page after many additions sorts no more than the leaves that it reads", () => {
  const draw = drawFrom(seeded());
  for (const count of [20_000, 200_000]) {
    const order = new CountingOrder();
    const list = new SortedRefs(order);
    for (const ref of shuffled(count, draw)) list.add(ref);
    const read = () =>
      order.during(() => assertEquals([...list.from(5).take(1_000)].at(-1), 1_004));
    const { comparisons } = read();
    // Of each leaf that is read, at most the first and the last are read in part.
    const sorted = 1_000 + 2 * LEAF_REFS;
    assert(comparisons < sorted * Math.log2(LEAF_REFS), `${comparisons} comparisons of ${count}`);
    const again = read().comparisons;
    assert(again < 2 * Math.log2(count), `${again} comparisons for the same page again`);
  }
});

Deno.test("each reference is sorted once, however often its leaf is read", () => {
  const order = new CountingOrder();
  const list = new SortedRefs(order);
  const COUNT = 50_000;
  const refs = shuffled(COUNT, drawFrom(seeded()));
  for (const ref of refs) list.add(ref);
  const all = order.during(() => assertEquals([...list.from()].length, COUNT));
  assert(all.comparisons < COUNT * Math.log2(LEAF_REFS), `${all.comparisons} comparisons`);
  assertEquals(order.during(() => [...list.from()]).comparisons, 0);
  for (let i = 0; i < 2_000; i++) {
    const ref = refs[i]!;
    const { comparisons } = order.during(() => {
      list.remove(ref);
      list.add(ref);
      assertEquals(list.from(ref).next().value, ref);
    });
    assert(comparisons < 4 * Math.log2(COUNT), `${comparisons} comparisons for one that came back`);
  }
});

Deno.test("removing looks at no other record", () => {
  const order = new CountingOrder();
  const list = new SortedRefs(order);
  const COUNT = 50_000;
  const refs = shuffled(COUNT, drawFrom(seeded()));
  for (const ref of refs) list.add(ref);
  for (const ref of refs) {
    const { looks, comparisons } = order.during(() => list.remove(ref));
    assertEquals(looks, 1);
    assert(comparisons <= Math.log2(COUNT / 100), `${comparisons} comparisons`);
  }
});

Deno.test("leaves of which little is left are joined", () => {
  const order = new CountingOrder();
  const list = new SortedRefs(order);
  const COUNT = 100 * LEAF_REFS;
  for (let ref = 1; ref <= COUNT; ref++) list.add(ref);
  for (let ref = 1; ref <= COUNT; ref++) if (ref % LEAF_REFS !== 0) list.remove(ref);
  const { comparisons } = order.during(() => list.add(1));
  assert(comparisons <= 1, "there is only one leaf to choose from");
  assertEquals([...list.from()].length, 101);
});
