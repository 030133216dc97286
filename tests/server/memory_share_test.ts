/**
 * What the table may hold: what the bound on the process leaves it, however much the others take.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { MemoryShare } from "../../server/memory_share.ts";
import { MIB } from "../support/process_memory.ts";

/** A process of a made-up size, with a bound of 1,000 MiB; all figures in MiB. */
function process() {
  const budget = { bytes: 0, bytesMax: Infinity };
  let rss = 60;
  const share = new MemoryShare(budget, { bytesMax: 1_000 * MIB, rss: () => rss * MIB });
  /** What the table may hold, once it holds this much and the process that. */
  const look = (state: { held: number; rss: number }) => {
    budget.bytes = state.held * MIB;
    rss = state.rss;
    share.look();
    return budget.bytesMax / MIB;
  };
  return { budget, look };
}

Deno.test("the table gets what the process does not take by itself", () => {
  const { budget, look } = process();
  assertEquals(budget.bytesMax, 940 * MIB);
  assertEquals(look({ held: 500, rss: 560 }), 940);
  assertEquals(look({ held: 500, rss: 600 }), 900, "clients have come");
  assertEquals(look({ held: 800, rss: 900 }), 900);
  assertEquals(look({ held: 800, rss: 950 }), 850, "memory between pieces can't be used");
});

Deno.test("what the table frees is room for it, also where the process keeps the memory", () => {
  const { look } = process();
  assertEquals(look({ held: 940, rss: 1_000 }), 940);
  for (const held of [900, 500, 100]) assertEquals(look({ held, rss: 1_000 }), 940);
  assertEquals(look({ held: 500, rss: 1_001 }), 939, "less what the process has grown by");
  assertEquals(look({ held: 939, rss: 1_001 }), 939);
  assertEquals(look({ held: 939, rss: 1_010 }), 930);
});

Deno.test("the table gets back what others have given back", () => {
  const { look } = process();
  assertEquals(look({ held: 500, rss: 800 }), 700);
  assertEquals(look({ held: 500, rss: 580 }), 920);
  // The process returns a part of what the table has freed: the rest is used again, as the table grows.
  assertEquals(look({ held: 900, rss: 980 }), 920);
  assertEquals(look({ held: 100, rss: 500 }), 600);
  assertEquals(look({ held: 400, rss: 510 }), 890);
});

Deno.test("a process that takes all memory for itself leaves the table a little", () => {
  const { look } = process();
  assertEquals(look({ held: 10, rss: 2_000 }), 32);
});
