/**
 * A memtable reclaims the space of records that are gone or were replaced, by moving those that remain.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { drawFrom } from "../../support/draw.ts";
import { numberFrom } from "../../support/harness.ts";
import { MIB } from "../../support/process_memory.ts";
import { assertHolds, keyOf, maintainAll, write } from "./memtable_model.ts";

Deno.test("space is reclaimed as the values of many keys change size", () => {
  const memtable = new Memtable();
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  const random = drawFrom(seed);
  const model = new Map<string, string>();
  const KEYS = 10_000;
  let [bytesMax, version] = [0, 0];
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < KEYS; i++) {
      const key = keyOf(i);
      const value = `${round}${"v".repeat(1 + random(2) * 300 + random(100))}`;
      write(memtable, key, value, { version: ++version });
      model.set(key, value);
      if (i % 50 === 0) {
        memtable.commit();
        memtable.maintain();
      }
    }
    memtable.commit();
    maintainAll(memtable);
    bytesMax = Math.max(bytesMax, memtable.bytes);
  }
  const liveBytes = [...model].reduce(
    (sum, [key, value]) => sum + key.length + value.length + 40,
    0,
  );
  assert(bytesMax < 1.25 * liveBytes + 6 * MIB, `${bytesMax} bytes for ${liveBytes}`);
  assertHolds(memtable, model);
});

Deno.test("space is reclaimed when all but a few keys are removed", () => {
  const memtable = new Memtable();
  const model = new Map<string, string>();
  const KEYS = 100_000;
  for (let i = 0; i < KEYS; i++) {
    const value = "v".repeat(100 + i % 100);
    write(memtable, keyOf(i), value);
    if (i % 1_000 === 0) model.set(keyOf(i), value);
  }
  memtable.commit();
  assert(memtable.bytes > 15 * MIB);
  for (let i = 0; i < KEYS; i++) if (i % 1_000 !== 0) write(memtable, keyOf(i), undefined);
  memtable.commit();
  maintainAll(memtable);
  assert(memtable.bytes <= 5 * MIB, `${memtable.bytes} bytes are left`);
  assertHolds(memtable, model);
});

Deno.test("a slab is emptied wherever its surviving record lies", () => {
  for (const kept of ["first", "middle", "last"] as const) {
    const memtable = new Memtable();
    const model = new Map<string, string>();
    const KEYS = 12_000;
    const value = "v".repeat(1_000);
    for (let i = 0; i < KEYS; i++) write(memtable, keyOf(i), value);
    memtable.commit();
    // A slab holds about a thousand: one of each is kept.
    const phase = { first: 0, middle: 500, last: 990 }[kept];
    for (let i = 0; i < KEYS; i++) {
      if (i % 1_000 === phase) model.set(keyOf(i), value);
      else write(memtable, keyOf(i), undefined);
    }
    memtable.commit();
    maintainAll(memtable);
    assert(memtable.bytes <= 6 * MIB, `${memtable.bytes} bytes are left`);
    assertHolds(memtable, model);
  }
});

Deno.test("gaps are closed as fast as they come, where each slab keeps a key that stays", () => {
  const memtable = new Memtable();
  let stays = 0;
  for (let turn = 0; turn < 100; turn++) {
    for (let i = 0; i < 3_000; i++) {
      write(memtable, keyOf(i), "v".repeat(1 + (i * 7_919 + turn * 31) % 900));
      if (i % 600 === 0) write(memtable, `stays ${stays++}`, "value");
    }
    memtable.commit();
    memtable.maintain();
    assert(memtable.bytes <= 9 * MIB, `${memtable.bytes} bytes after turn ${turn}`);
  }
  memtable.check();
});
