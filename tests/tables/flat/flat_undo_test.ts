/**
 * The changes of one turn in a flat store: undone, or committed after several changes of one key.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FlatStore } from "../../../tables/flat/flat_store.ts";
import { Text } from "../../../tables/text.ts";
import { assertHolds, keyOf, write } from "./flat_model.ts";

Deno.test("undo restores entries that were moved, overwritten, removed or cleared", () => {
  const store = new FlatStore();
  const model = new Map<string, string>();
  for (let i = 0; i < 100; i++) {
    write(store, keyOf(i), `value ${i}`);
    model.set(keyOf(i), `value ${i}`);
  }
  store.commit();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) {
      if (i % 4 === 0) write(store, keyOf(i), "x".repeat(70_000));
      if (i % 4 === 1) write(store, keyOf(i), undefined);
      if (i % 4 === 2) write(store, keyOf(i), `other ${i}`);
      if (i % 8 === 1) write(store, keyOf(i), "again, and longer than it was");
    }
    const mark = store.mark();
    store.clear();
    write(store, keyOf(1), "behind the first");
    store.clear();
    write(store, keyOf(2), "behind the second");
    assertHolds(store, new Map([[keyOf(2), "behind the second"]]));
    assertEquals(store.maintain(), true, "in the middle of a turn nothing moves");
    store.undo(mark);
    assertEquals(String(store.valueOf(store.find(Text.of(keyOf(2))))), "other 2");
    store.undo(0);
    assertHolds(store, model);
  }
});

Deno.test("each change of a key within a turn replaces the one before it", () => {
  const store = new FlatStore();
  const values = ["a", "a much longer value than that", undefined, "b", undefined];
  for (let count = 1; count <= values.length; count++) {
    for (const value of values.slice(0, count)) write(store, "key", value);
    const last = values[count - 1];
    store.commit();
    assertEquals(store.size, last === undefined ? 0 : 1);
    assertHolds(store, new Map(last === undefined ? [] : [["key", last]]));
  }
});
