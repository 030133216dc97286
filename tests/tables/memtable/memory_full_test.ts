/**
 * A table that runs out of memory: PUT is refused with nothing changed, everything else goes on, and PUT is
 * taken again once keys are removed.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import clear from "../../../commands/clear.ts";
import count from "../../../commands/count.ts";
import del from "../../../commands/delete.ts";
import get from "../../../commands/get.ts";
import keys from "../../../commands/keys.ts";
import put from "../../../commands/put.ts";
import { Line } from "../../../server/input/line.ts";
import type { Reply } from "../../../server/reply.ts";
import { NO_REF } from "../../../tables/memtable/arena.ts";
import { SLAB_BYTES } from "../../../tables/memtable/slabs.ts";
import { MemoryFullError } from "../../../tables/memtable/memory_full.ts";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { Text } from "../../../tables/text.ts";
import { answer } from "../../support/answer.ts";
import { contextWith } from "../../support/context.ts";
import { drawFrom } from "../../support/draw.ts";
import { withFailingMemory } from "../../support/failing_memory.ts";
import { numberFrom } from "../../support/harness.ts";
import { assertHolds, keyOf, LOG, maintainAll, write } from "./memtable_model.ts";

const FULL = "500 ERROR memory full; GET, DELETE and CLEAR go on";
const VALUE = "v".repeat(1_000);

/** A server's table with few slabs, and what it replies to a line. */
function smallServer(slabsMax: number) {
  const memtable = new Memtable({ slabsMax });
  const table = new MemoryTable({ memtable });
  const context = contextWith({ clear, count, delete: del, get, keys, put }, { table });
  const ask = (line: string) => {
    const reply = (answer(Line.of(line), context) as Reply).wire.trimEnd();
    table.commit();
    return reply;
  };
  return { memtable, table, ask };
}

Deno.test("a full table refuses PUT, and everything else goes on", () => {
  const { memtable, table, ask } = smallServer(32);
  let stored = 0;
  let reply = "";
  while ((reply = ask(`PUT ${keyOf(stored)} ${VALUE}`)) === "200 OK") stored++;
  assertEquals(reply, FULL);
  assert(stored > 28_000, `${stored} keys are stored`);
  assertEquals(ask(`COUNT`), `200 OK ${stored}`);
  assertEquals(ask(`GET ${keyOf(stored)}`), "404 NOT FOUND");
  assertEquals(ask(`GET ${keyOf(7)}`), `200 OK ${VALUE}`);
  assertEquals(ask(`PUT ${keyOf(7)} ${"w".repeat(1_000)}`), "200 OK", "where there is room for it");
  assert(ask("KEYS").endsWith("200 OK 1000 more"));
  assertEquals(table.maintain(), false);
  memtable.check();
  // Some here and some there, so that no slab is empty.
  for (let i = 0; i < stored; i += 4) assertEquals(ask(`DELETE ${keyOf(i)}`), "200 OK");
  while (table.maintain());
  memtable.check();
  for (let i = 0; i < stored / 16; i++) assertEquals(ask(`PUT new${i} ${VALUE}`), "200 OK");
  while (ask(`PUT x${stored++} ${VALUE}`) === "200 OK");
  memtable.check();
  assertEquals(ask("CLEAR"), "200 OK");
  assertEquals(ask("COUNT"), "200 OK 0");
  assertEquals(ask(`PUT ${keyOf(1)} ${VALUE}`), "200 OK");
});

Deno.test("a full table evicts, and its records move", () => {
  const memtable = new Memtable({ log: LOG, slabsMax: 12 });
  const model = new Map<string, string>();
  assertThrows(() => {
    for (let i = 0;; i++) {
      write(memtable, keyOf(i), VALUE, { place: 8 * i });
      model.set(keyOf(i), VALUE);
      memtable.commit();
    }
  }, MemoryFullError);
  assertHolds(memtable, model);
  maintainAll(memtable, { hotBytesMax: 0 });
  assertEquals([memtable.size, memtable.records.hotBytes], [model.size, 0]);
  for (let i = 0; i < 1_000; i++) memtable.warm(memtable.find(Text.of(keyOf(i))), Text.of(VALUE));
  memtable.check();
});

Deno.test("a change that is refused is dropped from the log", () => {
  const log = {
    length: 0,
    add: () => (log.length += 8),
    undo: (length: number) => void (log.length = length),
  };
  const table = new MemoryTable({ memtable: new Memtable({ log: LOG, slabsMax: 4 }), log });
  let changes = 0;
  assertThrows(() => {
    for (;; changes++) table.put(keyOf(changes), VALUE);
  }, MemoryFullError);
  assertEquals(log.length, 8 * changes);
  table.delete(keyOf(0));
  assertEquals(log.length, 8 * (changes + 1));
});

Deno.test("expired keys that can't be removed, for want of memory, stay until they can", () => {
  let left = 500;
  const log = {
    length: 0,
    add() {
      if (left-- === 0) throw new MemoryFullError();
      return this.length += 8;
    },
    undo(length: number) {
      this.length = length;
    },
  };
  let now = 1;
  const memtable = new Memtable();
  const table = new MemoryTable({ now: () => now, memtable, log });
  for (let i = 0; i < 300; i++) table.put(keyOf(i), VALUE, { expiresAt: 2 });
  table.commit();
  log.length = 0;
  now = 3;
  assertThrows(() => table.maintain(), MemoryFullError);
  assertEquals([memtable.size, memtable.mark(), log.length], [300, 0, 0]);
  memtable.check();
  assertEquals(table.maintain(), false);
  assertEquals([memtable.size, log.length], [0, 8 * 300]);
});

Deno.test("large values take no numbers of slabs", () => {
  const memtable = new Memtable({ slabsMax: 4 });
  for (let i = 0; i < 1_000; i++) write(memtable, keyOf(i), "v".repeat(65_537));
  memtable.commit();
  assertEquals(memtable.records.slabs.bytes, SLAB_BYTES);
  // 100,000 of them take a few of the 32,767 slabs.
  const { hotBytes, bytes } = memtable.records;
  const recordBytes = (hotBytes - (bytes - SLAB_BYTES)) / 1_000;
  assert(recordBytes < 48, `${recordBytes} bytes for each`);
});

Deno.test("where memory can't be had, nothing of a change has happened", () => {
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  const draw = drawFrom(seed);
  const memtable = new Memtable({ log: LOG });
  const model = new Map<string, string>();
  const KEYS = 100_000;
  let [step, place, refused] = [0, 0, 0];
  const change = () => {
    const key = keyOf(draw(KEYS));
    const kind = draw(100);
    if (kind === 0 && draw(2_000) === 0) {
      memtable.clear();
      model.clear();
    } else if (kind < 10) {
      write(memtable, key, undefined);
      model.delete(key);
    } else {
      const value = "v".repeat(kind < 12 ? 4_000 + draw(200_000) : 1 + draw(300));
      write(memtable, key, value, { place: place += 8 });
      model.set(key, value);
    }
  };
  while (step < 200_000) {
    withFailingMemory(() => draw(4) > 0, () => {
      for (const end = step + 5_000; step < end; step++) {
        const { bytes } = memtable;
        const mark = memtable.mark();
        try {
          change();
        } catch (error) {
          assert(error instanceof MemoryFullError, `${error}`);
          refused++;
          assertEquals(memtable.mark(), mark);
          assert(memtable.bytes <= bytes + SLAB_BYTES, "no more than an empty slab stays");
        }
        if (draw(50) > 0) continue;
        memtable.commit();
        memtable.maintain({ hotBytesMax: 20 * SLAB_BYTES });
      }
    });
    memtable.check();
    assertEquals(memtable.size, model.size);
  }
  assert(refused > 100, `${refused} changes were refused`);
  for (const [key, value] of model) {
    const ref = memtable.find(Text.of(key));
    assert(ref !== NO_REF && memtable.records.valueLength(ref) === value.length, key);
  }
});
