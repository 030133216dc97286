/**
 * The flat store: random turns against a Map, room that comes back, eviction that loses nothing.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of turns are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FLAG, NO_REF } from "../../../tables/flat/record.ts";
import { FlatStore } from "../../../tables/flat/flat_store.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import type { Table } from "../../../tables/table.ts";
import { Text } from "../../../tables/text.ts";
import { numberFrom } from "../../support/harness.ts";
import { ModelTable } from "../../support/model_table.ts";

const MEBIBYTE = 1_048_576;
/** A record that is larger has a segment of its own. */
const SHARED_BYTES_MAX = 65_536;
const SEED = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);

/** Numbers that look random, the same for a seed (Mulberry32): up to `below`. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * below);
  };
}

Deno.test("random turns leave in a memory table what they leave in a Map", () => {
  const runs = numberFrom("KEYLINE_FUZZ_RUNS", 30);
  console.log(`KEYLINE_FUZZ_SEED=${SEED}`);
  for (let run = 0; run < runs; run++) {
    const random = makeRandom(SEED + run);
    let now = 1_000;
    const [tried, model] = [new MemoryTable(() => now), new ModelTable(() => now)];
    const both = (look: (table: Table) => unknown) =>
      assertEquals(look(tried), look(model), `run ${run}: ${look}`);
    for (let turn = 0; turn < 25; turn++) {
      const marks: [number, number][] = [];
      for (let step = random(12); step >= 0; step--) {
        marks.push([tried.mark(), model.mark()]);
        const key = keyOf(random(30));
        const kind = random(100);
        if (kind < 50) {
          const value = valueOf(random);
          const expiresAt = random(3) === 0 ? now + random(100) : null;
          both((table) => table.put(key, value, { expiresAt }));
        } else if (kind < 70) {
          both((table) => table.delete(key));
        } else if (kind < 80) {
          const expiresAt = random(2) === 0 ? now + random(100) : null;
          both((table) => table.expire(key, expiresAt));
        } else if (kind < 83) {
          both((table) => table.clear());
        } else if (kind < 90) {
          marks.splice(random(marks.length) + 1);
          const [tryMark, modelMark] = marks.pop()!;
          tried.undo(tryMark);
          model.undo(modelMark);
        } else {
          now += random(30);
        }
      }
      if (random(8) === 0) both((table) => table.undo(0));
      both((table) => void table.commit());
      if (random(2) === 0) tried.maintain();
      for (let i = 0; i < 30; i++) {
        both((table) => {
          const { value, ...others } = table.entry(keyOf(i)) ?? {};
          return { value: value?.toString(), ...others };
        });
      }
      both((table) => table.count());
      both((table) => table.keys({ prefix: "", after: "", limit: 100 }));
      both((table) => table.keys({ prefix: "k1", after: keyOf(13), limit: 5 }));
    }
    tried.clear();
    tried.commit();
    assertEquals([tried.count(), tried.stats().table_bytes], [0, 0]);
  }
});

Deno.test("room comes back where values of many keys change their sizes", () => {
  const store = new FlatStore();
  const random = makeRandom(SEED);
  const model = new Map<string, string>();
  const KEYS = 10_000;
  let [bytesMax, version] = [0, 0];
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < KEYS; i++) {
      const key = keyOf(i);
      const value = `${round}${"v".repeat(1 + random(2) * 300 + random(100))}`;
      write(store, key, value, { version: ++version });
      model.set(key, value);
      if (i % 50 === 0) {
        store.commit();
        store.maintain();
      }
    }
    store.commit();
    maintainAll(store);
    bytesMax = Math.max(bytesMax, store.bytes);
  }
  const liveBytes = [...model].reduce(
    (sum, [key, value]) => sum + key.length + value.length + 40,
    0,
  );
  assert(bytesMax < 1.25 * liveBytes + 6 * MEBIBYTE, `${bytesMax} bytes for ${liveBytes}`);
  assertHolds(store, model);
});

Deno.test("room comes back where all but a few keys are removed", () => {
  const store = new FlatStore();
  const model = new Map<string, string>();
  const KEYS = 100_000;
  for (let i = 0; i < KEYS; i++) {
    const value = "v".repeat(100 + i % 100);
    write(store, keyOf(i), value);
    if (i % 1_000 === 0) model.set(keyOf(i), value);
  }
  store.commit();
  assert(store.bytes > 15 * MEBIBYTE);
  for (let i = 0; i < KEYS; i++) if (i % 1_000 !== 0) write(store, keyOf(i), undefined);
  store.commit();
  maintainAll(store);
  assert(store.bytes <= 5 * MEBIBYTE, `${store.bytes} bytes are left`);
  assertHolds(store, model);
});

Deno.test("a segment is emptied whose last records are gone already", () => {
  for (const kept of ["first", "middle", "last"] as const) {
    const store = new FlatStore();
    const model = new Map<string, string>();
    const KEYS = 12_000;
    const value = "v".repeat(1_000);
    for (let i = 0; i < KEYS; i++) write(store, keyOf(i), value);
    store.commit();
    // A segment holds about a thousand: one of each is kept.
    const phase = { first: 0, middle: 500, last: 990 }[kept];
    for (let i = 0; i < KEYS; i++) {
      if (i % 1_000 === phase) model.set(keyOf(i), value);
      else write(store, keyOf(i), undefined);
    }
    store.commit();
    maintainAll(store);
    assert(store.bytes <= 6 * MEBIBYTE, `${store.bytes} bytes are left`);
    assertHolds(store, model);
  }
});

Deno.test("values of every size around that of a segment come back as they were", () => {
  const store = new FlatStore();
  const model = new Map<string, string>();
  for (const around of [100, SHARED_BYTES_MAX, MEBIBYTE]) {
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
  assert(store.bytes <= MEBIBYTE, `${store.bytes} bytes are left`);
});

Deno.test("an undo brings back what was there, moved, written over and cleared", () => {
  const store = new FlatStore();
  const model = new Map<string, string>();
  for (let i = 0; i < 100; i++) {
    write(store, keyOf(i), `value ${i}`);
    model.set(keyOf(i), `value ${i}`);
  }
  store.commit();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) {
      if (i % 4 === 0) write(store, keyOf(i), "x".repeat(70_000));
      if (i % 4 === 1) write(store, keyOf(i), undefined);
      if (i % 4 === 2) write(store, keyOf(i), `other ${i}`);
      if (i % 8 === 1) write(store, keyOf(i), "again, and longer than it was");
    }
    const mark = store.mark();
    store.clear();
    write(store, keyOf(1), "behind the first");
    store.clear();
    write(store, keyOf(2), "behind the second");
    assertHolds(store, new Map([[keyOf(2), "behind the second"]]));
    assertEquals(store.maintain(), true, "in the middle of a turn nothing moves");
    store.undo(mark);
    assertEquals(String(store.valueOf(store.find(Text.of(keyOf(2))))), "other 2");
    store.undo(0);
    assertHolds(store, model);
  }
});

Deno.test("a key of a turn that is removed leaves nothing, whatever came before in the turn", () => {
  const store = new FlatStore();
  const values = ["a", "a much longer value than that", undefined, "b", undefined];
  for (let count = 1; count <= values.length; count++) {
    for (const value of values.slice(0, count)) write(store, "key", value);
    const last = values[count - 1];
    store.commit();
    assertEquals(store.size, last === undefined ? 0 : 1);
    assertHolds(store, new Map(last === undefined ? [] : [["key", last]]));
  }
});

Deno.test("a key that expires is listed as such until it is changed", () => {
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

Deno.test("a record gives back its fields, whatever follows its value", () => {
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

Deno.test("eviction takes what rows have, and nothing that is dirty", () => {
  const store = new FlatStore();
  const dirty = new Map<string, string>();
  const bytesMax = 4 * MEBIBYTE;
  for (let i = 0; i < 40_000; i++) {
    const value = `${i} ${"v".repeat(300)}`;
    if (i % 10 === 0) {
      const flags = (i % 20 === 0 ? FLAG.DIRTY_0 : FLAG.DIRTY_1) |
        (i % 30 === 0 ? FLAG.IN_ROWS : 0);
      write(store, keyOf(i), value, { flags });
      dirty.set(keyOf(i), value);
      if (i % 50 === 0) store.commit();
    } else {
      const fields = { version: i, expiresAt: 0, flags: FLAG.IN_ROWS | FLAG.RECENT, number: 0 };
      store.insertClean(Text.of(keyOf(i)), Text.of(value), fields);
    }
    if (i % 50 === 0) store.maintain({ bytesMax });
  }
  store.commit();
  maintainAll(store, bytesMax);
  assert(store.bytes <= bytesMax, `${store.bytes} bytes are held`);
  assertEquals(store.dirtyCount(0) + store.dirtyCount(1), dirty.size);
  for (const [key, value] of dirty) {
    assertEquals(String(store.valueOf(store.find(Text.of(key)))), value);
  }
  assert(store.size > dirty.size, "some of what is clean is still there");
});

Deno.test("what is read stays, while what nobody reads is evicted", () => {
  const store = new FlatStore();
  const bytesMax = 8 * MEBIBYTE;
  const hot = Array.from({ length: 100 }, (_, i) => Text.of(`hot-${i}`));
  const fields = { version: 1, expiresAt: 0, flags: FLAG.IN_ROWS, number: 0 };
  for (const key of hot) store.insertClean(key, Text.of("value"), fields);
  for (let i = 0; i < 100_000; i++) {
    store.insertClean(Text.of(keyOf(i)), Text.of("v".repeat(200)), fields);
    if (i % 100 === 0) {
      for (const key of hot) {
        const ref = store.find(key);
        assert(ref !== NO_REF, `${key} at ${i}`);
        store.touch(ref);
      }
      store.maintain({ bytesMax });
    }
  }
  maintainAll(store, bytesMax);
  assert(store.bytes <= bytesMax);
});

Deno.test("where nothing may be evicted, eviction comes to an end, and goes on when something may", () => {
  const store = new FlatStore();
  const flags = FLAG.DIRTY_0;
  for (let i = 0; i < 30; i++) {
    write(store, keyOf(i), "v".repeat(i % 2 === 0 ? 60_000 : 90_000), { flags });
  }
  store.commit();
  maintainAll(store, 0);
  assertEquals(store.size, 30);
  for (let i = 0; i < 30; i++) store.setFlags(store.find(Text.of(keyOf(i))), FLAG.IN_ROWS);
  maintainAll(store, 0);
  assert(store.bytes <= MEBIBYTE, `${store.bytes} bytes are held`);
});

function keyOf(i: number): string {
  return `k${i}`;
}

/** Mostly a short value; now and then one that fills a segment, or has one of its own. */
function valueOf(random: (below: number) => number): string {
  const length = [8, 40, 400, 4_000, 70_000, 1_048_576][Math.max(0, random(30) - 24)]!;
  return String.fromCharCode(97 + random(26)).repeat(1 + random(length));
}

/** Writes an entry, or a tombstone. */
function write(
  store: FlatStore,
  key: string,
  value: string | undefined,
  { version = 1, expiresAt = 0, flags = 0 } = {},
): void {
  const text = value === undefined ? undefined : Text.of(value);
  store.write(Text.of(key), text, { version, expiresAt, flags, number: 0 });
}

/** Does all steps of the work that waits. */
function maintainAll(store: FlatStore, bytesMax = Infinity): void {
  let steps = 0;
  while (store.maintain({ bytesMax })) assert(++steps < 100_000, "it comes to an end");
}

/** The store holds what the model does, by every way to look. */
function assertHolds(store: FlatStore, model: ReadonlyMap<string, string>): void {
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
