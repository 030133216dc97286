/**
 * The records of a memtable: their fields, their sizes, and when they expire.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";
import { MIB } from "../../support/process_memory.ts";
import { assertHolds, keyOf, LOG, maintainAll, write } from "./memtable_model.ts";

/** A larger value is a blob. */
const INLINE_BYTES_MAX = 4_096;

Deno.test("values of every size around that of a blob and of a slab are stored unchanged", () => {
  const memtable = new Memtable();
  const model = new Map<string, string>();
  for (const around of [100, INLINE_BYTES_MAX, 65_536, MIB]) {
    for (let length = around - 80; length <= around + 16; length += 8) {
      const value = "é".repeat(length / 2);
      write(memtable, `key-${length}`, value);
      model.set(`key-${length}`, value);
    }
  }
  memtable.commit();
  maintainAll(memtable);
  assertHolds(memtable, model);
  for (const key of model.keys()) write(memtable, key, model.set(key, "small").get(key));
  memtable.commit();
  maintainAll(memtable);
  assertHolds(memtable, model);
  assert(memtable.bytes <= MIB, `${memtable.bytes} bytes are left`);
});

Deno.test("records that end where their slab does are stored unchanged", () => {
  for (const length of [5, 6, 13, 4_096]) {
    const memtable = new Memtable();
    const model = new Map<string, string>();
    for (let i = 0; memtable.records.slabs.bytes <= 2 * MIB; i++) {
      const [key, value] = [String(i).padStart(8, "0"), `${i % 10}`.repeat(length)];
      write(memtable, key, value);
      model.set(key, value);
      if (i % 1_000 === 0) memtable.commit();
    }
    memtable.commit();
    memtable.prefetch([...model.keys()].slice(-64).map(Text.of));
    assertHolds(memtable, model);
  }
});

Deno.test("an expired key is listed as expired until it is changed", () => {
  const memtable = new Memtable();
  for (let i = 0; i < 1_000; i++) write(memtable, keyOf(i), "value", { expiresAt: 10 + i });
  memtable.commit();
  assertEquals([9, 10, 509, 5_000].map((now) => memtable.expiredCount(now)), [0, 1, 500, 1_000]);
  write(memtable, keyOf(0), "value");
  write(memtable, keyOf(1), undefined);
  write(memtable, keyOf(2), "a longer value", { expiresAt: 9_000 });
  memtable.commit();
  memtable.check();
  assertEquals(memtable.expiredCount(12), 0);
  assertEquals(memtable.expiredCount(5_000), 997);
  const expired = memtable.expiredRefs(5_000, 2).map((ref) => String(memtable.records.key(ref)));
  assertEquals(expired, [keyOf(3), keyOf(4)]);
});

Deno.test("a record returns its fields, whatever the length of its value", () => {
  const key = Text.of("k".repeat(1_024));
  const version = 2 ** 48 - 5;
  for (const place of [0, 8, 2 ** 35, 2 ** 43 - 8]) {
    const memtable = new Memtable({ log: LOG });
    for (const length of [...Array(40).keys(), 4_095, 4_096, 4_097, 70_000]) {
      for (const expiresAt of [0, 1_700_000_000_123.5, 0, Number.MAX_SAFE_INTEGER]) {
        for (const value of [Text.of("v".repeat(length)), length]) {
          const fields = { version, expiresAt, place };
          const ref = memtable.put(key, value, fields);
          const { records } = memtable;
          assertEquals(memtable.find(key), ref);
          assertEquals(records.fields(ref), fields);
          assertEquals([records.keyLength(ref), records.valueLength(ref)], [1_024, length]);
          assertEquals(String(records.key(ref)), String(key));
          assertEquals(records.isCold(ref), typeof value === "number");
          if (typeof value !== "number") assertEquals(String(records.value(ref)), String(value));
          else assertThrows(() => records.value(ref), Error, "it is not in memory");
        }
      }
      memtable.commit();
      memtable.check();
    }
  }
});
