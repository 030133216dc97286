/**
 * Random turns on a memory table, held against a Map.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of turns are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import type { Table } from "../../../tables/table.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom } from "../../support/harness.ts";
import { ModelTable } from "../../support/model_table.ts";
import { keyOf } from "./memtable_model.ts";

Deno.test("a memory table matches a Map after each random turn", () => {
  const runs = numberFrom("KEYLINE_FUZZ_RUNS", 30);
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  for (let run = 0; run < runs; run++) {
    const random = drawFrom(seed + run);
    let now = 1_000;
    const memtable = new Memtable();
    const tried = new MemoryTable({ now: () => now, memtable });
    const model = new ModelTable(() => now);
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
        memtable.check();
      }
      if (random(8) === 0) both((table) => table.undo(0));
      both((table) => void table.commit());
      if (random(2) === 0) tried.maintain();
      memtable.check();
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
    assertEquals(tried.count(), 0);
    assert(memtable.bytes <= 1_048_576, "a slab at most is left");
  }
});

/** Mostly a short value; now and then one that fills a segment, or has a segment of its own. */
function valueOf(random: Draw): string {
  const length = [8, 40, 400, 4_000, 70_000, 1_048_576][Math.max(0, random(30) - 24)]!;
  return String.fromCharCode(97 + random(26)).repeat(1 + random(length));
}
