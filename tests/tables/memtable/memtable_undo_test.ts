/**
 * The changes of one turn in a memtable: undone, or committed after several changes of one key.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { Text } from "../../../tables/text.ts";
import { assertHolds, keyOf, write } from "./memtable_model.ts";

Deno.test("undo restores entries that were moved, overwritten, removed or cleared", () => {
  const memtable = new Memtable();
  const model = new Map<string, string>();
  for (let i = 0; i < 100; i++) {
    write(memtable, keyOf(i), `value ${i}`);
    model.set(keyOf(i), `value ${i}`);
  }
  memtable.commit();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) {
      if (i % 4 === 0) write(memtable, keyOf(i), "x".repeat(70_000));
      if (i % 4 === 1) write(memtable, keyOf(i), undefined);
      if (i % 4 === 2) write(memtable, keyOf(i), `other ${i}`);
      if (i % 8 === 1) write(memtable, keyOf(i), "again, and longer than it was");
    }
    const mark = memtable.mark();
    memtable.clear();
    write(memtable, keyOf(1), "behind the first");
    memtable.clear();
    write(memtable, keyOf(2), "behind the second");
    assertHolds(memtable, new Map([[keyOf(2), "behind the second"]]));
    assertEquals(memtable.maintain(), true, "in the middle of a turn nothing moves");
    memtable.undo(mark);
    const ref = memtable.find(Text.of(keyOf(2)));
    assertEquals(String(memtable.records.value(ref)), "other 2");
    memtable.undo(0);
    assertHolds(memtable, model);
  }
});

Deno.test("undo returns how much of the turn was logged at the mark", () => {
  const memtable = new Memtable();
  assertEquals(memtable.undo(0), undefined);
  const marks: number[] = [];
  const changes = [
    (logged: number) => write(memtable, "a", "one", { logged }),
    (logged: number) => write(memtable, "a", "two", { logged }),
    (logged: number) => write(memtable, "a", "a longer value than that", { logged }),
    (logged: number) => write(memtable, "a", undefined, { logged }),
    (logged: number) => memtable.clear(logged),
    (logged: number) => write(memtable, "b", "v".repeat(5_000), { logged }),
  ];
  for (const [i, change] of changes.entries()) {
    marks.push(memtable.mark());
    change(100 * i);
  }
  assertEquals(memtable.undo(memtable.mark()), undefined);
  for (let i = changes.length - 1; i > 1; i--) assertEquals(memtable.undo(marks[i]!), 100 * i);
  assertEquals(memtable.undo(0), 0);
  assertHolds(memtable, new Map());
});

Deno.test("each change of a key within a turn replaces the one before it", () => {
  const memtable = new Memtable();
  const values = [
    "a",
    "a much longer value than that",
    undefined,
    "b".repeat(5_000),
    "b",
    undefined,
  ];
  for (let count = 1; count <= values.length; count++) {
    for (const value of values.slice(0, count)) write(memtable, "key", value);
    const last = values[count - 1];
    memtable.commit();
    assertEquals(memtable.size, last === undefined ? 0 : 1);
    assertHolds(memtable, new Map(last === undefined ? [] : [["key", last]]));
  }
});
