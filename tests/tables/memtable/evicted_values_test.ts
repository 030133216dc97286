/**
 * Eviction from a memtable: it drops values that nobody reads, keeps every key, and comes to an end.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";
import { MIB } from "../../support/process_memory.ts";
import { keyOf, keysIn, LOG, maintainAll, write } from "./memtable_model.ts";

/** The length of the value of a number: now and then that of a blob. */
function lengthOf(i: number): number {
  return i % 100 === 0 ? 4_000 + i % 7_000 : 1 + i % 400;
}

function filled(count: number): Memtable {
  const memtable = new Memtable({ log: LOG });
  for (let i = 0; i < count; i++) {
    const value = `${i % 10}`.repeat(lengthOf(i));
    write(memtable, keyOf(i), value, { version: i, expiresAt: i % 3, place: 8 * i });
    if (i % 100 === 0) memtable.commit();
  }
  memtable.commit();
  memtable.maintain(); // Later steps need not keep up with what was added here.
  return memtable;
}

Deno.test("eviction comes to an end at every limit, and keeps each key with its fields", () => {
  const KEYS = 20_000;
  const memtable = filled(KEYS);
  const keys = keysIn(memtable);
  for (const hotBytesMax of [Infinity, 4 * MIB, 1.5 * MIB, 100_000, 1, 0]) {
    for (let i = 0; i < KEYS; i += 2) { // Also where all that is hot has been read.
      memtable.records.setRecent(memtable.find(Text.of(keyOf(i))), true);
    }
    maintainAll(memtable, { hotBytesMax });
    const { records } = memtable;
    assert(records.hotBytes <= hotBytesMax, `${records.hotBytes} bytes at ${hotBytesMax}`);
    let hot = 0;
    for (let i = 0; i < KEYS; i++) {
      const ref = memtable.find(Text.of(keyOf(i)));
      assertEquals(records.fields(ref), { version: i, expiresAt: i % 3, place: 8 * i });
      assertEquals(records.valueLength(ref), lengthOf(i));
      if (records.isCold(ref)) continue;
      assertEquals(String(records.value(ref)), `${i % 10}`.repeat(lengthOf(i)));
      hot++;
    }
    assertEquals(keysIn(memtable), keys);
    assertEquals(hot === KEYS, hotBytesMax === Infinity);
    assertEquals(hot === 0, hotBytesMax < 10);
  }
  assert(memtable.bytes <= KEYS * 48 + 6 * MIB, `${memtable.bytes} bytes are held`);
  assertEquals(memtable.expiredCount(2), KEYS - Math.ceil(KEYS / 3));
});

Deno.test("values that are read stay, while those that nobody reads go", () => {
  const memtable = new Memtable({ log: LOG });
  const hotBytesMax = 8 * MIB;
  const hot = Array.from({ length: 100 }, (_, i) => Text.of(`hot-${i}`));
  for (const [i, key] of hot.entries()) {
    write(memtable, String(key), i % 10 === 0 ? "v".repeat(20_000) : "value");
  }
  let cold = 0;
  for (let i = 0; i < 100_000; i++) {
    write(memtable, keyOf(i), "v".repeat(200), { place: 8 * i });
    if (i % 100 > 0) continue;
    memtable.commit();
    for (const key of hot) {
      const ref = memtable.find(key);
      if (memtable.records.isCold(ref)) cold++;
      else memtable.records.setRecent(ref, true);
    }
    memtable.maintain({ hotBytesMax });
  }
  memtable.commit();
  assertEquals(cold, 0, "a value that was read again and again was dropped");
  maintainAll(memtable, { hotBytesMax });
  assertEquals(memtable.size, 100_100);
});

Deno.test("a step of eviction looks at a bounded number of records, whatever they hold", () => {
  const memtable = filled(30_000);
  const { records } = memtable;
  let looks = 0;
  const recordAfter = records.recordAfter.bind(records);
  records.recordAfter = (from) => {
    looks++;
    return recordAfter(from);
  };
  for (let isMore = true, step = 0; isMore; step++) {
    assert(step < 1_000, "it comes to an end");
    looks = 0;
    isMore = memtable.maintain({ hotBytesMax: 0 });
    assert(looks <= 131_072 / 24 + 2, `${looks} records`);
  }
});

Deno.test("a value comes back to its record, and goes again", () => {
  const memtable = new Memtable({ log: LOG });
  for (const length of [0, 1, 4_096, 4_097, 200_000]) {
    const value = "v".repeat(length);
    const key = Text.of("key");
    const fields = { version: 3, expiresAt: 17, place: 800 };
    let ref = memtable.put(key, length, fields);
    memtable.commit();
    for (let round = 0; round < 3; round++) {
      assert(memtable.records.isCold(ref));
      ref = memtable.warm(ref, Text.of(value));
      assertEquals(memtable.find(key), ref);
      assertEquals(String(memtable.records.value(ref)), value);
      assertEquals(memtable.records.fields(ref), fields);
      memtable.check();
      maintainAll(memtable, { hotBytesMax: 0 });
      ref = memtable.find(key);
    }
    assertEquals(memtable.records.hotBytes, 0);
  }
});

Deno.test("eviction keeps up with turns that add much, at one call a turn", () => {
  const memtable = new Memtable({ log: LOG });
  const hotBytesMax = 8 * MIB;
  let place = 0;
  for (let turn = 0; turn < 100; turn++) {
    for (let i = 0; i < 3_000; i++) {
      const value = "v".repeat(i % 500 === 0 ? 9_000 : 300);
      write(memtable, keyOf(place), value, { place: place += 8 });
    }
    memtable.commit();
    memtable.maintain({ hotBytesMax });
    const { hotBytes } = memtable.records;
    assert(hotBytes <= hotBytesMax + 2 * MIB, `${hotBytes} bytes after turn ${turn}`);
  }
  memtable.check();
});

Deno.test("one call reclaims a bounded part of what was added before the first", () => {
  const memtable = new Memtable({ log: LOG });
  for (let i = 0; i < 60_000; i++) {
    write(memtable, keyOf(i), "v".repeat(1_000), { place: 8 * i + 8 });
    if (i % 1_000 === 0) memtable.commit();
  }
  memtable.commit();
  const before = memtable.records.hotBytes;
  assertEquals(memtable.maintain({ hotBytesMax: 0 }), true);
  const reclaimed = before - memtable.records.hotBytes;
  assert(reclaimed > 10 * MIB && reclaimed < 33 * MIB, `${reclaimed} of ${before} bytes`);
  maintainAll(memtable, { hotBytesMax: 0 });
  assertEquals(memtable.records.hotBytes, 0);
});
