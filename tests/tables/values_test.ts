/**
 * Every table alike: values are stored and found, counted and versioned, whatever they are made of.
 *
 * @module
 */

import { Text } from "../../tables/text.ts";
import { assert, assertEquals } from "@std/assert";
import { BEGIN, REAL_TABLES, testEach } from "../support/table_model.ts";

testEach("a value is found once it is put, and absent once it is deleted", (setup) => {
  const { table } = setup;
  assertEquals(setup.get("key"), undefined);
  table.put("key", "one");
  assertEquals(setup.get("key"), "one");
  table.put("key", "two");
  assertEquals(setup.get("key"), "two");
  table.delete("key");
  assertEquals(setup.get("key"), undefined);
  table.commit();
  assertEquals(setup.get("key"), undefined);
});

testEach("keys and values come back as they were, also after a restart", (setup) => {
  const texts = [
    "constructor",
    "__proto__",
    '"quoted"\\',
    " spaces \t and tabs ",
    "\u2028\u2029\u0085\ufeff",
    "\u{1f468}\u200d\u{1f469}\u200d\u{1f466}",
    "\u00e9 e\u0301",
    "'; DROP TABLE log; --",
    "x".repeat(1_048_576),
    "\u{10ffff}".repeat(65_536),
  ];
  for (const [i, text] of texts.entries()) setup.table.put(`${text.slice(0, 100)}${i}`, text);
  for (let round = 0; round < 3; round++) {
    for (const [i, text] of texts.entries()) {
      assertEquals(setup.get(`${text.slice(0, 100)}${i}`), text);
    }
    setup.table.put("so that the log moves", String(round));
    setup.table.commit();
    setup.reopen();
  }
});

testEach("CLEAR removes every key, and what is put after it stays", (setup) => {
  for (let i = 0; i < 20; i++) setup.table.put(`old-${i}`, "old");
  setup.table.commit();
  setup.table.put("old-20", "old");
  setup.table.clear();
  setup.table.put("new", "new");
  assertEquals(setup.keys(), ["new"]);
  assertEquals(setup.table.count(), 1);
  setup.table.commit();
  setup.maintainAll();
  setup.reopen();
  assertEquals(setup.get("old-3"), undefined);
  assertEquals(setup.keys(), ["new"]);
  assertEquals(setup.table.count(), 1);
});

testEach("CLEAR after CLEAR leaves nothing, with or without maintenance in between", (setup) => {
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 10; i++) setup.table.put(`${round}-${i}`, "value");
    setup.table.commit();
    assertEquals(setup.table.count(), 10);
    setup.table.clear();
    setup.table.commit();
    if (round % 3 === 0) setup.maintainAll();
    if (round % 4 === 0) setup.reopen();
    assertEquals(setup.table.count(), 0);
    assertEquals(setup.keys(), []);
  }
});

testEach("the count is the number of keys, whatever was done twice", (setup) => {
  setup.table.delete("absent");
  for (const key of ["a", "b", "a", "c"]) setup.table.put(key, "value");
  setup.table.delete("b");
  setup.table.delete("b");
  assertEquals(setup.table.count(), 2);
  setup.table.commit();
  setup.reopen();
  assertEquals(setup.table.count(), 2);
  setup.table.put("a", "again");
  setup.table.delete("c");
  setup.table.commit();
  assertEquals(setup.table.count(), 1);
});

testEach("every PUT gives a higher version, and none is given twice", (setup) => {
  let last = 0;
  const put = () => {
    const version = setup.table.put("key", "value");
    assert(version > last, `${version} after ${last}`);
    last = version;
    assertEquals(setup.entry("key")?.version, version);
  };
  put();
  put();
  setup.table.commit();
  const mark = setup.table.mark();
  put(); // This one is undone, and its version is not given again either.
  setup.table.undo(mark);
  put();
  setup.table.delete("key");
  put();
  setup.table.commit();
  setup.reopen();
  assertEquals(setup.entry("key")?.version, last);
  put();
  setup.table.delete("key");
  setup.table.commit();
  setup.reopen();
  put();
  setup.table.clear();
  setup.table.commit();
  setup.reopen();
  put();
});

testEach("a turn may be of any size", (setup) => {
  const keys = Array.from({ length: 5 }, (_, i) => `key-${i}`);
  for (const key of keys) setup.table.put(key, key.repeat(120_000));
  setup.table.commit();
  for (let round = 0; round < 3; round++) {
    for (const key of keys) assertEquals(setup.get(key), key.repeat(120_000));
    setup.table.put(keys[0]!, keys[0]!.repeat(120_000));
    setup.table.commit();
    setup.reopen();
  }
});

testEach("a value is stored from the table's own bytes, under its own key and others", (setup) => {
  const { table } = setup;
  for (const length of [1, 100, 5_000, 100_000]) {
    const value = "é".repeat(length);
    table.put("a", value);
    table.put("b", table.get("a")!);
    table.put("a", table.get("b")!);
    table.put("a", table.get("a")!, { expiresAt: BEGIN + 10 });
    const { memory, end } = table.get("b")!;
    table.put("b", new Text(memory, end - 2, end));
    assertEquals([setup.get("a"), setup.get("b")], [value, "é"]);
    table.commit();
    setup.maintainAll();
    assertEquals([setup.get("a"), setup.get("b")], [value, "é"]);
  }
});

testEach("keys that fall into one bucket of a plain Map are stored as fast as others", (setup) => {
  // Sixty thousand of them would take half a minute.
  for (let i = 0; i < 60_000; i++) setup.table.put(String(i * 65_536), String(i));
  setup.table.commit();
  assertEquals(setup.table.count(), 60_000);
  assertEquals(setup.get(String(59_999 * 65_536)), "59999");
}, REAL_TABLES);
