/**
 * A bound on the memory of a server's copy of a table in etcd: it refuses its own clients, and follows the others.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { KIND } from "../../../tables/change.ts";
import { ChangeWriter } from "../../../tables/etcd/entry.ts";
import { Replica } from "../../../tables/etcd/replica.ts";
import { MemoryBudget, RESERVE_BYTES } from "../../../tables/memtable/memory_budget.ts";
import { MemoryFullError } from "../../../tables/memtable/memory_full.ts";
import { Text } from "../../../tables/text.ts";
import { MIB } from "../../support/process_memory.ts";

Deno.test("a copy that is full refuses PUT, and takes in what other servers have stored", () => {
  const budget = new MemoryBudget(RESERVE_BYTES + 4 * MIB);
  const replica = new Replica({ location: "fake", now: Date.now, stats: () => ({}), budget });
  const value = "v".repeat(1_000);
  let version = 0;
  const entryOf = (count: number) => {
    const writer = new ChangeWriter();
    for (let i = 0; i < count; i++) {
      const texts = { key: Text.of(`other ${++version}`), value: Text.of(value) };
      writer.add({ kind: KIND.PUT, ...texts, version, expiresAt: 0 });
    }
    return writer.entry({ version, time: 0 });
  };
  assertThrows(() => {
    for (let i = 0;; i++) replica.put(`own ${i}`, value);
  }, MemoryFullError);
  replica.commit();
  const own = replica.count();
  for (let i = 0; i < 20; i++) replica.applyEntry(entryOf(1_000));
  assertEquals(replica.count(), own + 20_000);
  assert(budget.bytes > budget.bytesMax, "that is more than the bound");
  assertThrows(() => replica.put("new", value), MemoryFullError);
  assertEquals(String(replica.get("other 7")), value);
  replica.undoTurn();
  // What is read anew takes the place of the old.
  replica.reset(version);
  assert(budget.usedBytes < MIB, `${budget.usedBytes} bytes are held`);
  replica.put("new", value);
  assertEquals(replica.count(), 1);
});
