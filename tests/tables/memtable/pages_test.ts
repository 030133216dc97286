/**
 * Pages of keys and the count of expired ones, while thousands of keys come, go, grow, expire and move.
 *
 * `KEYLINE_FUZZ_SEED` repeats a run.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { KeyOrder } from "../../../tables/memtable/orders.ts";
import { Arena } from "../../../tables/memtable/arena.ts";
import { Text } from "../../../tables/text.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";
import { numberFrom } from "../../support/harness.ts";
import { write } from "./memtable_model.ts";

/** Expiries by key; 0 if the key does not expire. */
type Model = Map<string, number>;

const KEYS = 30_000;
const TIMES = 1_000;

Deno.test("pages and counts are right while thousands of keys come, go, grow, expire and move", () => {
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  const draw = drawFrom(seed);
  const memtable = new Memtable();
  let model: Model = new Map();
  for (let turn = 0; turn < 60; turn++) {
    const before = new Map(model);
    for (let i = draw(3_000); i >= 0; i--) change({ memtable, model, draw });
    if (draw(15) === 0) {
      memtable.clear();
      model.clear();
      change({ memtable, model, draw });
    }
    if (draw(4) === 0) {
      memtable.undo(0);
      model = before;
    }
    if (draw(2) === 0) assertLists({ memtable, model, draw }); // Also within a turn.
    memtable.commit();
    memtable.check();
    for (let step = draw(40); step > 0; step--) memtable.maintain();
    memtable.check();
    assertLists({ memtable, model, draw });
  }
});

Deno.test("the copy of a key by which records are sorted stays when its record goes", () => {
  const arena = new Arena();
  const order = new KeyOrder(arena);
  const keys = Array.from({ length: 500 }, (_, i) => `${i}`.repeat(1 + i % 300).slice(0, 1_024));
  const fields = { version: 1, expiresAt: 0, place: 0 };
  const refs = keys.map((key) => arena.add(Text.of(key), Text.of("value"), fields));
  const copies = refs.map((ref) => order.copyOf(order.sortKeyOf(ref)));
  for (const ref of refs) arena.memory(ref).bytes.fill(0);
  assertEquals(copies.map(String), keys);
});

interface Tried {
  readonly memtable: Memtable;
  readonly model: Model;
  readonly draw: Draw;
}

/** Puts or deletes a key; the value has a size that is drawn, so that records are replaced and moved. */
function change({ memtable, model, draw }: Tried): void {
  const key = keyOf(draw(KEYS));
  if (draw(3) === 0) {
    model.delete(key);
    write(memtable, key, undefined);
  } else {
    const expiresAt = draw(3) === 0 ? 1 + draw(TIMES) : 0;
    model.set(key, expiresAt);
    write(memtable, key, "v".repeat(1 + draw(2) * draw(400)), { expiresAt });
  }
}

/** Asserts that a page of keys from anywhere, and the count of what has expired, are those of the model. */
function assertLists({ memtable, model, draw }: Tried): void {
  const [prefix, after] = [["", "k", "k1", "k12"][draw(4)]!, keyOf(draw(KEYS))];
  const limit = draw(2) === 0 ? 100 : KEYS;
  const page = memtable.page({ prefix: Text.of(prefix), after: Text.of(after) }).take(limit);
  const listed = [...model.keys()].filter((key) => key.startsWith(prefix) && key > after);
  assertEquals(
    [...page].map((ref) => String(memtable.records.key(ref))),
    listed.sort().slice(0, limit),
  );
  const now = draw(TIMES);
  const expired = [...model.values()].filter((expiresAt) => expiresAt > 0 && expiresAt <= now);
  assertEquals(memtable.expiredCount(now), expired.length);
  const times = memtable.expiredRefs(now, limit).map((ref) => memtable.records.expiresAt(ref));
  assertEquals(times, expired.sort((a, b) => a - b).slice(0, limit));
}

/** Spreads the numbers, so that neighbours in order do not come together. */
function keyOf(i: number): string {
  return `k${Math.imul(i, 7_919) % KEYS}`;
}
