/**
 * Memory that is used again: sizes, and how much is kept.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { giveMemory, takeMemory } from "../../server/memory_pool.ts";
import { Memory } from "../../tables/text.ts";

Deno.test("memory that was given back is taken again, by those who need its size", () => {
  const memory = takeMemory(100_000);
  assertEquals(memory.bytes.length, 131_072);
  giveMemory(memory);
  const small = takeMemory(1);
  assertEquals(small.bytes.length, 1_024);
  assert(takeMemory(70_000) === memory);
  assert(takeMemory(70_000) !== memory, "nobody else has it meanwhile");
});

Deno.test("large memory is as large as was asked for, and is not kept", () => {
  const memory = takeMemory(1_000_001);
  assertEquals(memory.bytes.length, 1_000_001);
  giveMemory(memory);
  assert(takeMemory(1_000_001) !== memory);
});

Deno.test("no more than 16 MiB are kept in all, and nothing of other sizes", () => {
  const memories = Array.from({ length: 100 }, () => takeMemory(262_144));
  for (const memory of memories) giveMemory(memory);
  const again = Array.from({ length: 100 }, () => takeMemory(262_144));
  assertEquals(again.filter((memory) => memories.includes(memory)).length, 64);
  const small = Array.from({ length: 100 }, () => takeMemory(1_024));
  for (const memory of [...again.slice(0, 63), ...small]) giveMemory(memory);
  const last = again[63]!;
  giveMemory(last);
  assert(takeMemory(262_144) !== last, "small memory counts as well");
  const other = new Memory(20_000);
  giveMemory(other);
  assert(takeMemory(20_000) !== other);
});
