/**
 * Eviction from a flat store: it keeps what is dirty and what is read, and comes to an end.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FLAG, NO_REF } from "../../../tables/flat/record.ts";
import { FlatStore } from "../../../tables/flat/flat_store.ts";
import { Text } from "../../../tables/text.ts";
import { MIB } from "../../support/process_memory.ts";
import { keyOf, maintainAll, write } from "./flat_model.ts";

Deno.test("eviction takes clean entries, and none that is dirty", () => {
  const store = new FlatStore();
  const dirty = new Map<string, string>();
  const bytesMax = 4 * MIB;
  for (let i = 0; i < 40_000; i++) {
    const value = `${i} ${"v".repeat(300)}`;
    if (i % 10 === 0) {
      const flags = (i % 20 === 0 ? FLAG.DIRTY_0 : FLAG.DIRTY_1) |
        (i % 30 === 0 ? FLAG.IN_ROWS : 0);
      write(store, keyOf(i), value, { flags });
      dirty.set(keyOf(i), value);
      if (i % 50 === 0) store.commit();
    } else {
      const fields = { version: i, expiresAt: 0, flags: FLAG.IN_ROWS | FLAG.RECENT, number: 0 };
      store.insertClean(Text.of(keyOf(i)), Text.of(value), fields);
    }
    if (i % 50 === 0) store.maintain({ bytesMax });
  }
  store.commit();
  maintainAll(store, bytesMax);
  assert(store.bytes <= bytesMax, `${store.bytes} bytes are held`);
  assertEquals(store.dirtyCount(0) + store.dirtyCount(1), dirty.size);
  for (const [key, value] of dirty) {
    assertEquals(String(store.valueOf(store.find(Text.of(key)))), value);
  }
  assert(store.size > dirty.size, "some of what is clean is still there");
});

Deno.test("entries that are read stay, while those that nobody reads are evicted", () => {
  const store = new FlatStore();
  const bytesMax = 8 * MIB;
  const hot = Array.from({ length: 100 }, (_, i) => Text.of(`hot-${i}`));
  const fields = { version: 1, expiresAt: 0, flags: FLAG.IN_ROWS, number: 0 };
  for (const key of hot) store.insertClean(key, Text.of("value"), fields);
  for (let i = 0; i < 100_000; i++) {
    store.insertClean(Text.of(keyOf(i)), Text.of("v".repeat(200)), fields);
    if (i % 100 === 0) {
      for (const key of hot) {
        const ref = store.find(key);
        assert(ref !== NO_REF, `${key} at ${i}`);
        store.touch(ref);
      }
      store.maintain({ bytesMax });
    }
  }
  maintainAll(store, bytesMax);
  assert(store.bytes <= bytesMax);
});

Deno.test("eviction stops when nothing may be evicted, and resumes when something may", () => {
  const store = new FlatStore();
  const flags = FLAG.DIRTY_0;
  for (let i = 0; i < 30; i++) {
    write(store, keyOf(i), "v".repeat(i % 2 === 0 ? 60_000 : 90_000), { flags });
  }
  store.commit();
  maintainAll(store, 0);
  assertEquals(store.size, 30);
  for (let i = 0; i < 30; i++) store.setFlags(store.find(Text.of(keyOf(i))), FLAG.IN_ROWS);
  maintainAll(store, 0);
  assert(store.bytes <= MIB, `${store.bytes} bytes are held`);
});
