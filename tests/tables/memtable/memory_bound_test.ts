/**
 * A bound on memory: a table holds no more, whatever is stored and removed; it refuses PUT, or evicts; and it comes
 * back once keys are removed.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { MemoryBudget, RESERVE_BYTES } from "../../../tables/memtable/memory_budget.ts";
import { MemoryFullError } from "../../../tables/memtable/memory_full.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { Text } from "../../../tables/text.ts";
import { drawFrom } from "../../support/draw.ts";
import { numberFrom } from "../../support/harness.ts";
import { MIB } from "../../support/process_memory.ts";
import { keyOf } from "./memtable_model.ts";

const BOUND = 24 * MIB;
/** For random turns: half of it is the reserve, so that they fill what clients may have soon. */
const SMALL_BOUND = 2 * RESERVE_BYTES;
const VALUE = Text.of("v".repeat(200_000));

function valueOf(length: number): Text {
  return new Text(VALUE.memory, 0, length);
}

/** A table with a bound, and what it is made of. */
function bounded({ evicts, bytesMax = BOUND }: { evicts?: "entries"; bytesMax?: number } = {}) {
  const budget = new MemoryBudget(bytesMax);
  const memtable = new Memtable({ budget, evicts });
  return { budget, memtable, table: new MemoryTable({ memtable }) };
}

/** Stores so many values, in turns of 100 keys. Returns how many were taken. */
function fill(table: MemoryTable, count: number, length: number): number {
  let stored = 0;
  for (let i = 0; i < count; i++) {
    try {
      table.put(keyOf(i), valueOf(length));
      stored++;
    } catch (error) {
      assert(error instanceof MemoryFullError, `${error}`);
    }
    if (i % 100 === 99) table.commit();
  }
  table.commit();
  return stored;
}

function maintainAll(table: MemoryTable): void {
  for (let step = 0; table.maintain(); step++) assert(step < 100_000, "it comes to an end");
}

/** Sizes of values, after each other: each with a value of about this size, or of any up to twice that. */
const LOADS = [64, 1_024, 100_000, 5_000, 50_000] as const;

for (const evicts of [undefined, "entries"] as const) {
  const how = evicts === undefined ? "refuses what is too much" : "evicts";
  Deno.test(`a table that ${how} holds no more than its bound, and what a Map does`, () => {
    const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
    console.log(`KEYLINE_FUZZ_SEED=${seed}`);
    const draw = drawFrom(seed);
    const { budget, memtable, table } = bounded({ ...evicts && { evicts }, bytesMax: SMALL_BOUND });
    const model = new Map<string, number>();
    let refused = 0;
    for (const size of LOADS) {
      const keys = Math.ceil(2 * SMALL_BOUND / (size + 80));
      let usedMax = 0;
      for (let step = 0; step < keys;) {
        // What CLEAR removes is held until the turn ends, and what follows it in that turn finds room all the same.
        let isCleared = false;
        for (const end = step + 1 + draw(size < 10_000 ? 200 : 20); step < end; step++) {
          const key = keyOf(draw(keys));
          const kind = draw(1_000);
          const mark = table.mark();
          if (kind < 250) {
            table.delete(key);
            model.delete(key);
          } else if (kind === 250 && draw(keys) < 400) {
            table.clear();
            model.clear();
            isCleared = true;
          } else {
            const length = draw(2) === 0 ? size : 1 + draw(2 * size);
            try {
              table.put(key, valueOf(length), { expiresAt: draw(4) === 0 ? 2 ** 42 : null });
              if (draw(50) > 0) model.set(key, length);
              else table.undo(mark);
            } catch (error) {
              assert(error instanceof MemoryFullError, `${error}`);
              assertEquals(table.mark(), mark);
              refused++;
            }
          }
          assert(isCleared || budget.bytes <= SMALL_BOUND, `${budget.bytes} bytes are held`);
        }
        usedMax = Math.max(usedMax, budget.usedBytes);
        table.commit();
        if (isCleared) maintainAll(table);
        else if (draw(4) === 0) table.maintain();
        assert(budget.bytes <= SMALL_BOUND, `${budget.bytes} bytes are held between turns`);
      }
      memtable.check();
      if (evicts === undefined) assertEquals(memtable.size, model.size);
      let found = 0;
      for (const [key, length] of model) {
        const value = table.get(key);
        if (value === undefined && evicts !== undefined) continue;
        assertEquals(value?.length, length, key);
        found++;
      }
      assertEquals(memtable.size, found, "nothing else is in the table");
      assert(
        usedMax > 3 / 4 * (SMALL_BOUND - RESERVE_BYTES),
        `${usedMax} bytes were used at ${size}`,
      );
    }
    assertEquals(refused > 0, evicts === undefined);
    assertEquals(memtable.evictedKeys > 0, evicts !== undefined);
    maintainAll(table);
    memtable.check();
  });
}

Deno.test("a full table takes values again once some are removed, wherever they are", () => {
  for (const length of [200, 1_000, 100_000]) {
    const bytesMax = 1.5 * BOUND;
    const { memtable, table } = bounded({ bytesMax });
    const count = Math.ceil(2 * bytesMax / (length + 40));
    const stored = fill(table, count, length);
    assert(stored < count);
    assertThrows(() => table.put("new", valueOf(length)), MemoryFullError);
    maintainAll(table);
    // One key in eight, so that no slab is empty.
    for (let i = 0; i < stored; i += 8) table.delete(keyOf(i));
    table.commit();
    maintainAll(table);
    assert(memtable.budget.room > length, `values of ${length} bytes`);
    // What removing one in eight has freed, but for gaps of a slab and a 64th.
    const freed = stored / 8 * length;
    const again = Math.floor(Math.max(1, (freed - MIB - bytesMax / 64) / (length + 60)));
    for (let i = 0; i < again; i++) {
      table.put(`new ${i}`, valueOf(length));
      if (i % 100 > 0) continue;
      table.commit();
      maintainAll(table);
    }
    table.commit();
    memtable.check();
  }
});

Deno.test("a full table overwrites in place, and its reads, DELETE and CLEAR go on", () => {
  const { budget, memtable, table } = bounded();
  const stored = fill(table, 100_000, 1_000);
  table.put(keyOf(7), Text.of("w".repeat(1_000)));
  assertEquals(String(table.get(keyOf(7))), "w".repeat(1_000));
  assertThrows(() => table.put(keyOf(7), valueOf(1_200)), MemoryFullError);
  assertEquals(table.count(), stored);
  assertEquals(table.keys({ prefix: "", after: "", limit: 10 }).keys.length, 10);
  for (let i = 0; i < 20_000; i++) table.delete(keyOf(i)); // All in one turn, and undone.
  table.undo(0);
  assertEquals(table.count(), stored);
  memtable.check();
  table.clear();
  table.put("key", valueOf(100_000)); // In the turn of CLEAR, which may yet be undone.
  table.commit();
  assertEquals(fill(table, 10_000, 1_000), 10_000);
  memtable.check();
  maintainAll(table);
  memtable.check();
  assert(budget.bytes <= BOUND);
});

Deno.test("a large table that was cleared is freed in steps, and its memory counts until then", () => {
  const { budget, memtable, table } = bounded({ bytesMax: 128 * MIB });
  fill(table, 80_000, 1_000);
  const { usedBytes } = budget;
  table.clear();
  table.commit();
  assert(budget.usedBytes > usedBytes / 2, "one step does not free all of it");
  maintainAll(table);
  memtable.check();
  assert(budget.usedBytes < 2 * MIB, `${budget.usedBytes} bytes are used`);
  assert(budget.bytes < 18 * MIB, `${budget.bytes} bytes are left`);
});

Deno.test("eviction takes what was used least recently", () => {
  const { memtable, table } = bounded({ evicts: "entries" });
  const KEYS = 100_000;
  for (let i = 0; i < KEYS; i++) {
    table.put(keyOf(i), valueOf(1_000));
    // The first ones are used again and again: by GET, by an overwrite, by TTL.
    if (i >= 300) {
      table.get(keyOf(i % 100));
      table.put(keyOf(100 + i % 100), valueOf(1_000));
      table.entry(keyOf(200 + i % 100));
    }
    if (i % 50 === 0) table.commit();
  }
  table.commit();
  for (let i = 0; i < 300; i++) assert(table.get(keyOf(i)) !== undefined, `key ${i} has gone`);
  assertEquals(memtable.evictedKeys, KEYS - table.count());
  assertEquals(table.stats().evicted_keys, memtable.evictedKeys);
  // Of the others, those that came last are there.
  const kept = Array.from({ length: KEYS }, (_, i) => i).filter((i) => table.get(keyOf(i)));
  const oldest = kept[300]!;
  assert(oldest > KEYS - 1.2 * kept.length, `${oldest} is still there`);
});

Deno.test("a turn larger than the bound evicts too, and what it has not evicted for can be undone", () => {
  const { budget, memtable, table } = bounded({ evicts: "entries" });
  assert(fill(table, 30_000, 1_000) === 30_000);
  table.put("first", valueOf(10));
  const mark = table.mark();
  let last = 0;
  for (; last < 1_000 || memtable.evictedKeys < 25_000; last++) {
    table.put(`large ${last}`, valueOf(100_000));
    assert(budget.bytes <= BOUND, `${budget.bytes} bytes are held`);
    assert(table.mark() > mark, "it is a later mark of the same turn");
  }
  assertEquals(table.get(`large ${last - 1}`)?.length, 100_000);
  memtable.check();
  const before = table.mark();
  table.put(`large ${last - 1}`, valueOf(5));
  table.delete(`large ${last - 2}`);
  table.undo(before);
  assertEquals(table.get(`large ${last - 1}`)?.length, 100_000);
  assertEquals(table.get(`large ${last - 2}`)?.length, 100_000);
  table.undo(0); // What was final before stays.
  assert(table.count() > 0);
  assertEquals(table.mark() > 0, table.commit());
  assertEquals(table.mark(), 0);
  memtable.check();
  // Only what is larger than all that may go is refused.
  memtable.budget.bytesMax = RESERVE_BYTES + 150_000;
  assertThrows(() => table.put("huge", valueOf(200_000)), MemoryFullError);
  assertEquals(table.count(), 0);
  memtable.check();
});

Deno.test("an expiry that is set where memory is full evicts others, and not its own key", () => {
  const { memtable, table } = bounded({ evicts: "entries" });
  const KEYS = 120;
  for (let i = 0; i < KEYS; i++) table.put(keyOf(i), Text.of(`${i % 10}`.repeat(100_000)));
  table.commit();
  memtable.budget.bytesMax = memtable.budget.usedBytes + RESERVE_BYTES - 1;
  for (let i = 0; i < KEYS; i++) {
    if (!table.expire(keyOf(i), 2 ** 42)) continue;
    assertEquals(String(table.get(keyOf(i))), `${i % 10}`.repeat(100_000), keyOf(i));
  }
  assert(memtable.evictedKeys > 0 && table.count() > KEYS / 4);
  memtable.check();
});
