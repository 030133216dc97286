/**
 * Every table alike: undo and commit.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { BEGIN, testEach } from "../support/table_model.ts";

testEach("undo takes back what came after the mark, and nothing else", (setup) => {
  const { table } = setup;
  table.put("kept", "kept");
  table.put("ends", "value", { expiresAt: BEGIN + 10 });
  table.commit();
  table.put("changed", "before the mark");
  const mark = table.mark();
  table.put("changed", "after the mark");
  table.delete("kept");
  table.expire("ends", null);
  const inner = table.mark();
  table.put("new", "new");
  table.undo(inner);
  assertEquals(setup.keys(), ["changed", "ends"]);
  table.undo(mark);
  assertEquals(setup.get("changed"), "before the mark");
  assertEquals(setup.get("kept"), "kept");
  assertEquals(setup.entry("ends")?.expiresAt, BEGIN + 10);
  assertEquals(table.count(), 3);
  assertEquals(table.commit(), true);
  setup.reopen();
  assertEquals(setup.keys(), ["changed", "ends", "kept"]);
});

testEach("undo takes back a CLEAR, with what was put after it", (setup) => {
  const { table } = setup;
  for (let i = 0; i < 10; i++) {
    table.put(`row-${i}`, "committed");
    table.commit();
  }
  table.put("put before", "in this turn");
  const mark = table.mark();
  table.clear();
  table.put("row-1", "put after");
  table.clear();
  table.put("put after", "value");
  assertEquals(setup.keys(), ["put after"]);
  table.undo(mark);
  assertEquals(setup.get("row-1"), "committed");
  assertEquals(setup.get("put before"), "in this turn");
  assertEquals(table.count(), 11);
  table.commit();
  setup.reopen();
  assertEquals(setup.table.count(), 11);
  assertEquals(setup.get("put after"), undefined);
});

testEach("a commit reports whether there was anything to commit", (setup) => {
  const { table } = setup;
  assertEquals(table.commit(), false);
  table.delete("absent");
  table.expire("absent", BEGIN);
  assertEquals(table.commit(), false);
  table.put("key", "value");
  assertEquals(table.commit(), true);
  assertEquals(table.commit(), false);
  table.put("key", "undone");
  table.undo(0);
  assertEquals(table.commit(), false);
  assertEquals(setup.get("key"), "value");
  table.clear();
  assertEquals(table.commit(), true);
});
