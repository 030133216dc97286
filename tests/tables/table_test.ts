/**
 * Every table does the same: one suite over all of them, then random operations that hold each to the
 * model, a Map, then what only the table on disk does.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of operations are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { OpenError } from "../../tables/durable/errors.ts";
import { numberFrom, tempFolder, testWith } from "../support/harness.ts";
import {
  BEGIN,
  DURABLE_TABLE,
  MEMORY_TABLE,
  REAL_TABLES,
  TableSetup,
  testEach,
} from "../support/table_model.ts";
import { checkRandomOperations } from "../support/random_operations.ts";

/** Keys in the order of their code points. UTF-16 has the astral ones before U+E000. */
const ORDERED_KEYS = [
  "!",
  "A",
  "a",
  "a!",
  "aa",
  "é",
  "\u{e000}",
  "\u{fffd}",
  "\u{1f600}",
  "\u{10ffff}",
];

testEach("a value is there once it is put, and gone once it is deleted", (setup) => {
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

testEach("keys and values come back as they were, after a new start too", (setup) => {
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

testEach("CLEAR removes every key, and what is put behind it stays", (setup) => {
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

testEach("CLEAR after CLEAR, with work done in between or not, leaves nothing", (setup) => {
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

testEach("the count is that of the keys, whatever was done twice", (setup) => {
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

testEach("keys come in the order of their code points", (setup) => {
  for (const key of ORDERED_KEYS.toReversed()) setup.table.put(key, "value");
  assertEquals(setup.keys(), ORDERED_KEYS);
  setup.table.commit();
  assertEquals(setup.keys(), ORDERED_KEYS);
  for (let i = 0; i < 10; i++) { // Some commits, so that a part of them is moved to rows.
    setup.table.put(ORDERED_KEYS[i]!, "again");
    setup.table.commit();
    assertEquals(setup.keys(), ORDERED_KEYS);
  }
});

testEach("a page of keys begins behind one key, and has its prefix and its length", (setup) => {
  const keys = ["a", "b:1", "b:2", "b:3", "b:\u{ffff}", "b:\u{1f600}", "b;", "c"];
  for (const key of keys) setup.table.put(key, "value");
  for (let round = 0; round < 2; round++) {
    assertEquals(setup.keys({ limit: 3 }), ["a", "b:1", "b:2"]);
    assertEquals(setup.keys({ after: "b:2", limit: 2 }), ["b:3", "b:\u{ffff}"]);
    assertEquals(setup.keys({ prefix: "b:" }), keys.slice(1, 6));
    assertEquals(setup.keys({ prefix: "b:", after: "b:3" }), ["b:\u{ffff}", "b:\u{1f600}"]);
    assertEquals(setup.keys({ prefix: "b:", after: "a", limit: 1 }), ["b:1"]);
    assertEquals(setup.keys({ prefix: "b:", after: "c" }), []);
    assertEquals(setup.keys({ prefix: "b:", after: "b:25", limit: 1 }), ["b:3"]);
    assertEquals(setup.keys({ prefix: "no" }), []);
    assertEquals(setup.keys({ limit: 0 }), []);
    for (let i = 0; i < 9; i++) { // The same again where most of them are rows.
      setup.table.put("c", "again");
      setup.table.commit();
    }
  }
});

testEach("pages of keys go on where the last one ended, in spite of changes", (setup) => {
  const all = Array.from({ length: 40 }, (_, i) => `key-${String(i).padStart(2, "0")}`);
  for (const key of all) {
    setup.table.put(key, "value");
    setup.table.commit();
  }
  const seen: string[] = [];
  for (let page = setup.keys({ limit: 7 }); page.length > 0;) {
    seen.push(...page);
    setup.table.delete(page[0]!);
    setup.table.put(`${page.at(-1)}!`, "new, and behind the page");
    setup.table.commit();
    page = setup.keys({ after: `${page.at(-1)}!`, limit: 7 });
  }
  assertEquals(seen, all);
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

testEach("a key is absent from the moment at which it ends, for every method", (setup) => {
  setup.table.put("ends", "value", { expiresAt: BEGIN + 100 });
  setup.table.put("ends too", "value");
  assertEquals(setup.table.expire("ends too", BEGIN + 100), true);
  setup.table.put("stays", "value");
  for (let round = 0; round < 3; round++) {
    setup.now = BEGIN + 99;
    assertEquals(setup.get("ends"), "value");
    assertEquals(setup.entry("ends too")?.expiresAt, BEGIN + 100);
    assertEquals(setup.table.count(), 3);
    assertEquals(setup.keys(), ["ends", "ends too", "stays"]);
    setup.now = BEGIN + 100;
    for (const key of ["ends", "ends too"]) {
      assertEquals(setup.get(key), undefined);
      assertEquals(setup.entry(key), undefined);
      assertEquals(setup.table.expire(key, BEGIN + 1_000), false);
    }
    assertEquals(setup.table.count(), 1);
    assertEquals(setup.keys(), ["stays"]);
    assertEquals(setup.keys({ limit: 1 }), ["stays"]);
    for (let i = 0; i < 6; i++) { // The same again where they are rows, then after a new start.
      setup.table.put("stays", "value");
      setup.table.commit();
    }
    if (round === 1) setup.reopen();
  }
});

testEach("an end can be moved and taken away, and neither changes value or version", (setup) => {
  const version = setup.table.put("key", "value");
  for (const expiresAt of [BEGIN + 10, BEGIN + 1_000, null, BEGIN + 500]) {
    assertEquals(setup.table.expire("key", expiresAt), true);
    assertEquals({ ...setup.entry("key") }.expiresAt, expiresAt);
    setup.table.commit();
    setup.reopen();
    const entry = setup.entry("key")!;
    assertEquals([entry.value, entry.version, entry.expiresAt], ["value", version, expiresAt]);
  }
  assertEquals(setup.table.expire("absent", BEGIN + 10), false);
  assertEquals(setup.get("absent"), undefined);
});

testEach("PUT takes an end away, and a key that has ended can be put again", (setup) => {
  setup.table.put("put before its end", "one", { expiresAt: BEGIN + 10 });
  setup.table.put("put behind its end", "one", { expiresAt: BEGIN + 10 });
  for (let i = 0; i < 3; i++) { // So that they are rows.
    setup.table.commit();
    setup.table.put("other", "value");
  }
  setup.table.put("put before its end", "two");
  setup.now = BEGIN + 20;
  setup.table.put("put behind its end", "two");
  for (let round = 0; round < 3; round++) {
    assertEquals(setup.table.count(), 3);
    setup.table.commit();
    if (round === 0) setup.reopen();
    else setup.maintainAll();
  }
  setup.reopen();
  assertEquals(setup.get("put before its end"), "two");
  assertEquals(setup.get("put behind its end"), "two");
  assertEquals(setup.table.count(), 3);
});

testEach("a key that is put again behind its removal is one key", (setup) => {
  const makeRow = () => {
    for (let i = 0; i < 3; i++) {
      setup.table.put("other", "value");
      setup.table.commit();
    }
  };
  setup.table.put("key", "one", { expiresAt: BEGIN + 10 });
  makeRow();
  assertEquals(setup.get("key"), "one");
  setup.now = BEGIN + 10;
  setup.maintainAll();
  setup.table.put("key", "two");
  assertEquals(setup.table.count(), 2);
  makeRow();
  assertEquals(setup.table.count(), 2);
  setup.table.delete("key");
  setup.table.delete("key");
  assertEquals(setup.table.count(), 1);
});

testEach("undo takes back what came behind the mark, and nothing else", (setup) => {
  const { table } = setup;
  table.put("kept", "kept");
  table.put("ends", "value", { expiresAt: BEGIN + 10 });
  table.commit();
  table.put("changed", "before the mark");
  const mark = table.mark();
  table.put("changed", "behind the mark");
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

testEach("undo takes back a CLEAR, with what was put behind it", (setup) => {
  const { table } = setup;
  for (let i = 0; i < 10; i++) {
    table.put(`row-${i}`, "committed");
    table.commit();
  }
  table.put("put before", "in this turn");
  const mark = table.mark();
  table.clear();
  table.put("row-1", "put behind");
  table.clear();
  table.put("put behind", "value");
  assertEquals(setup.keys(), ["put behind"]);
  table.undo(mark);
  assertEquals(setup.get("row-1"), "committed");
  assertEquals(setup.get("put before"), "in this turn");
  assertEquals(table.count(), 11);
  table.commit();
  setup.reopen();
  assertEquals(setup.table.count(), 11);
  assertEquals(setup.get("put behind"), undefined);
});

testEach("a commit says whether there was anything to commit", (setup) => {
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

testEach("ended keys are removed in steps, and removed they do not come back", (setup) => {
  const COUNT = 5_000;
  for (let i = 0; i < COUNT; i++) setup.table.put(`key-${i}`, "value", { expiresAt: BEGIN + 10 });
  setup.table.commit();
  setup.moveAllBut("stays");
  assertEquals(setup.table.maintain(), false);
  setup.now = BEGIN + 10;
  const countAfter = () => {
    setup.now = BEGIN; // As if they had not ended, so that those count which are still there.
    const count = setup.table.count();
    setup.now = BEGIN + 10;
    return count;
  };
  assertEquals(setup.table.maintain(), true);
  const left = countAfter();
  assert(left > COUNT / 2, `one step has left ${left}`);
  assert(left < COUNT, "a step has removed nothing");
  setup.maintainAll();
  assertEquals(countAfter(), 1);
  assertEquals(setup.table.count(), 1);
  setup.reopen();
  assertEquals(countAfter(), 1);
}, [MEMORY_TABLE, DURABLE_TABLE]);

testEach("work that waits is left alone in the middle of a turn", (setup) => {
  for (let i = 0; i < 10; i++) {
    setup.table.put(`key-${i}`, "value", { expiresAt: BEGIN + 10 });
    setup.table.commit();
  }
  setup.now = BEGIN + 10;
  setup.table.put("key-0", "again");
  assertEquals(setup.table.maintain(), true);
  setup.table.undo(0);
  setup.maintainAll();
  assertEquals(setup.table.count(), 0);
}, REAL_TABLES);

testEach("a turn is as large as it likes", (setup) => {
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

testEach("a value is stored from where the table has it, under its own key and others", (setup) => {
  const { table } = setup;
  for (const length of [1, 100, 5_000, 100_000]) {
    const value = "é".repeat(length);
    table.put("a", value);
    table.put("b", table.get("a")!);
    table.put("a", table.get("b")!);
    table.put("a", table.get("a")!, { expiresAt: BEGIN + 10 });
    const shorter = table.get("b")!;
    shorter.start = shorter.end - 2;
    table.put("b", shorter);
    assertEquals([setup.get("a"), setup.get("b")], [value, "é"]);
    table.commit();
    setup.maintainAll();
    assertEquals([setup.get("a"), setup.get("b")], [value, "é"]);
  }
});

testWith(
  ["read", "write"],
  "rows that CLEAR has left are removed in steps, and their room is used again",
  () => {
    using setup = new TableSetup(DURABLE_TABLE);
    const fill = () => {
      // As many as no single step removes.
      for (let i = 0; i < 10_000; i++) setup.table.put(`key-${i}`, "x".repeat(500));
      setup.table.commit();
      setup.moveAllBut("so that the log moves");
    };
    fill();
    const bytes = setup.table.stats().disk_bytes!;
    setup.table.clear();
    setup.table.commit();
    setup.table.put("so that the log moves", "x".repeat(5_000));
    setup.table.commit();
    assert(setup.maintainAll() > 1);
    for (let round = 0; round < 3; round++) {
      fill();
      setup.table.clear();
      setup.table.commit();
      setup.maintainAll();
    }
    assert(setup.table.stats().disk_bytes! < 1.5 * bytes);
  },
);

testWith(["read", "write"], "a table that holds nothing in memory still finds its rows", () => {
  const folder = tempFolder();
  const options = { cacheBytes: 0, segmentBytes: 4_096 };
  const table = new DurableTable(folder, options);
  for (let i = 0; i < 100; i++) table.put(`key-${i}`, `value-${i}`);
  table.commit();
  for (let i = 0; i < 3; i++) {
    table.put("so that the log moves", "x".repeat(5_000));
    table.commit();
    while (table.maintain());
  }
  table.close();
  const again = new DurableTable(folder, options);
  for (let i = 0; i < 100; i++) assertEquals(String(again.get(`key-${i}`)), `value-${i}`);
  const { cache_hits, cache_misses } = again.stats();
  assertEquals([cache_hits, cache_misses], [0, 100]);
  again.close();
  Deno.removeSync(folder, { recursive: true });
});

testWith(
  ["read", "write"],
  "a folder that is in use can't be opened again, in one process neither",
  () => {
    const folder = tempFolder();
    const open = () => new DurableTable(folder, { cacheBytes: 0, segmentBytes: 4_096 });
    const table = open();
    assertThrows(open, OpenError, `process ${Deno.pid}, since `);
    table.close();
    open().close();
    Deno.removeSync(folder, { recursive: true });
  },
);

for (const kind of REAL_TABLES) {
  testWith(["read", "write"], `${kind.name}: random operations do what they do to a Map`, () => {
    checkRandomOperations(kind, { numRuns: numberFrom("KEYLINE_FUZZ_RUNS", 40) });
  });
}

testEach("keys that a plain Map would hold in one chain are held", (setup) => {
  // Sixty thousand of them would take half a minute.
  for (let i = 0; i < 60_000; i++) setup.table.put(String(i * 65_536), String(i));
  setup.table.commit();
  assertEquals(setup.table.count(), 60_000);
  assertEquals(setup.get(String(59_999 * 65_536)), "59999");
}, REAL_TABLES);
