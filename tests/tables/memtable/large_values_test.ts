/**
 * Large values of a memtable: their memory is used again, and each change of a turn can be undone.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { SLAB_BYTES } from "../../../tables/memtable/slabs.ts";
import { Blobs } from "../../../tables/memtable/blobs.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";
import { drawFrom } from "../../support/draw.ts";
import { MIB } from "../../support/process_memory.ts";
import { assertHolds, keyOf, LOG, maintainAll, write } from "./memtable_model.ts";

const LARGE = "a".repeat(100_000);
const OTHER = "b".repeat(100_000);

Deno.test("freed memory is used again for a value of about the same size, and for no other", () => {
  const blobs = new Blobs();
  const first = blobs.add(Text.of(LARGE));
  const { memory } = blobs.get(first, 1);
  assert(memory.bytes.length <= 9 / 8 * LARGE.length, `${memory.bytes.length} bytes`);
  blobs.free(first);
  assertEquals(blobs.bytes, 0);
  const small = blobs.add(Text.of("v".repeat(50_000)));
  assert(blobs.get(small, 1).memory !== memory);
  const again = blobs.add(Text.of(OTHER.slice(200)));
  assert(blobs.get(again, 1).memory === memory);
  assertEquals(String(blobs.get(again, OTHER.length - 200)), OTHER.slice(200));
  assertEquals(blobs.bytes, memory.bytes.length + blobs.get(small, 1).memory.bytes.length);
});

Deno.test("what is kept of freed memory has a bound, and is of sizes that are asked for", () => {
  const blobs = new Blobs();
  const add = (length: number) => blobs.add(Text.of("v".repeat(length)));
  const freed = (lengths: number[]) => {
    const numbers = lengths.map(add);
    const memories = numbers.map((number) => blobs.get(number, 1).memory);
    for (const number of numbers) blobs.free(number);
    return new Set(memories);
  };
  const old = freed(Array.from({ length: 30 }, () => MIB));
  const recent = freed(Array.from({ length: 100 }, () => 100_000));
  const used = (memories: Set<unknown>, length: number) => {
    const numbers = Array.from({ length: 100 }, () => add(length));
    return numbers.filter((number) => memories.has(blobs.get(number, 1).memory)).length;
  };
  assertEquals(used(recent, 100_000), 100);
  assert(used(old, MIB) <= 16, "at most 16 MiB were kept");
});

Deno.test("values of drawn sizes are stored unchanged while others come and go", () => {
  const draw = drawFrom(3);
  const blobs = new Blobs();
  const model = new Map<number, string>();
  for (let step = 0; step < 2_000; step++) {
    const numbers = [...model.keys()];
    if (numbers.length > 0 && draw(2) === 0) {
      const number = numbers[draw(numbers.length)]!;
      assertEquals(String(blobs.get(number, model.get(number)!.length)), model.get(number));
      blobs.free(number);
      model.delete(number);
    } else {
      const value = String(step % 10).repeat(4_097 + draw(2 ** (5 + draw(12))));
      const number = blobs.add(Text.of(value));
      assert(number !== 0 && !model.has(number));
      model.set(number, value);
    }
  }
  for (const [number, value] of model) {
    assertEquals(String(blobs.get(number, value.length)), value);
    blobs.free(number);
  }
  assertEquals(blobs.bytes, 0);
});

Deno.test("undo restores a large value that was replaced, shortened, removed or cleared", () => {
  const memtable = new Memtable();
  write(memtable, "key", LARGE);
  write(memtable, "other", OTHER);
  memtable.commit();
  const model = new Map([["key", LARGE], ["other", OTHER]]);
  const { bytes } = memtable;
  const changes = [
    () => write(memtable, "key", OTHER.slice(5_000)),
    () => write(memtable, "key", "small"),
    () => write(memtable, "key", undefined),
    () => memtable.clear(),
    () => write(memtable, "new", OTHER.slice(9)),
    () => write(memtable, "key", LARGE, { expiresAt: 5 }),
  ];
  for (const first of changes) {
    for (const second of changes) {
      for (const third of changes) {
        for (const change of [first, second, third]) change();
        memtable.undo(0);
        assertHolds(memtable, model);
        assertEquals(memtable.bytes, bytes);
        // What was freed takes new values, which must not be seen in the old.
        write(memtable, "new", "c".repeat(100_000));
        memtable.undo(0);
      }
    }
  }
  assertHolds(memtable, model);
});

Deno.test("the memory of large values is given back when they are replaced, removed or cleared", () => {
  const memtable = new Memtable();
  const model = new Map<string, string>();
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 20; i++) write(memtable, keyOf(i), `${round}`.repeat(50_000));
    memtable.commit();
    assert(memtable.bytes < 20 * 120_000 + SLAB_BYTES, `${memtable.bytes} bytes`);
    if (round % 3 === 0) memtable.clear();
    if (round % 3 === 1) { for (let i = 0; i < 20; i++) write(memtable, keyOf(i), undefined); }
    memtable.commit();
    if (round % 3 === 2) continue;
    assertHolds(memtable, model);
    assert(memtable.bytes <= SLAB_BYTES, `${memtable.bytes} bytes`);
  }
});

Deno.test("a record moves without its large value, which stays as it is", () => {
  const memtable = new Memtable({ log: LOG });
  const model = new Map<string, string>();
  for (let i = 0; i < 30_000; i++) {
    if (i % 3_000 === 0) model.set(keyOf(i), LARGE);
    write(memtable, keyOf(i), model.get(keyOf(i)) ?? "v".repeat(400), { place: 8 * i });
  }
  memtable.commit();
  const look = () => {
    const refs = [...model.keys()].map((key) => memtable.find(Text.of(key)));
    return { refs, memories: refs.map((ref) => memtable.records.value(ref).memory) };
  };
  const before = look();
  for (let i = 0; i < 30_000; i++) if (i % 3_000 > 0) write(memtable, keyOf(i), undefined);
  memtable.commit();
  maintainAll(memtable);
  const after = look();
  assert(after.refs.some((ref, i) => ref !== before.refs[i]), "some have moved");
  assert(after.memories.every((memory, i) => memory === before.memories[i]));
  assertHolds(memtable, model);
  maintainAll(memtable, { hotBytesMax: 0 });
  assertEquals(memtable.records.hotBytes, 0);
  assert(memtable.bytes <= 5 * MIB, `${memtable.bytes} bytes`);
});
