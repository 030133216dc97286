/**
 * A bound on the memory of a durable table: values leave memory before a key is refused, and where keys alone fill it,
 * PUT is refused, and reads, DELETE and the next start go on.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { MemoryBudget } from "../../../tables/memtable/memory_budget.ts";
import { MemoryFullError } from "../../../tables/memtable/memory_full.ts";
import { MIB } from "../../support/process_memory.ts";
import { maintainAll, tableTest } from "./table_in_folder.ts";

const BOUND = 16 * MIB;

function open(folder: string, bytesMax = BOUND) {
  const budget = new MemoryBudget(bytesMax);
  return { budget, table: new DurableTable(folder, { cacheBytes: 1_024 * MIB, budget }) };
}

function valueOf(i: number, length: number): string {
  return `${i} `.repeat(length).slice(0, length);
}

tableTest("values leave memory before a key is refused, and are read from the log", (folder) => {
  const { budget, table } = open(folder);
  const KEYS = 20_000;
  for (let i = 0; i < KEYS; i++) {
    table.put(`k${i}`, valueOf(i, 1_000 + i % 2 * 4_000));
    if (i % 50 < 49) continue;
    table.commit();
    assert(budget.bytes <= BOUND, `${budget.bytes} bytes are held`);
  }
  for (let i = 0; i < KEYS; i++) {
    assertEquals(String(table.get(`k${i}`)), valueOf(i, 1_000 + i % 2 * 4_000));
    if (i % 50 === 49) table.commit();
    assert(budget.bytes <= BOUND, `${budget.bytes} bytes are held`);
  }
  table.check();
  table.close();
});

tableTest("where keys alone fill memory, PUT is refused, and all else goes on", (folder) => {
  const { budget, table } = open(folder);
  const keyOf = (i: number) => `${"k".repeat(400)}${i}`;
  let stored = 0;
  assertThrows(() => {
    for (;; stored++) {
      table.put(keyOf(stored), valueOf(stored, 2_000));
      if (stored % 20 === 19) table.commit();
    }
  }, MemoryFullError);
  table.commit();
  maintainAll(table);
  assert(budget.bytes <= BOUND, `${budget.bytes} bytes are held`);
  for (let i = 0; i < stored; i += 7) {
    assertEquals(String(table.get(keyOf(i))), valueOf(i, 2_000));
    assertEquals(String(table.entry(keyOf(i))?.value), valueOf(i, 2_000));
  }
  assertEquals(table.count(), stored);
  table.close();
  // With less memory than its keys take, a table still opens, and is read.
  const smaller = open(folder, 12 * MIB).table;
  assertEquals(smaller.count(), stored);
  assertEquals(String(smaller.get(keyOf(9))), valueOf(9, 2_000));
  assertThrows(() => smaller.put("new", "value"), MemoryFullError);
  assertThrows(() => smaller.expire(keyOf(9), 2 ** 42), MemoryFullError);
  for (let i = 0; i < stored; i++) if (i % 16 > 0) smaller.delete(keyOf(i));
  smaller.commit();
  maintainAll(smaller);
  smaller.put("new", "value");
  smaller.commit();
  smaller.check();
  smaller.close();
});
