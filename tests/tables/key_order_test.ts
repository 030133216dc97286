/**
 * Every table alike: keys come in order, page by page.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { testEach } from "../support/table_model.ts";

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

testEach("a page of keys starts after a key, and keeps to its prefix and its limit", (setup) => {
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

testEach("each page of keys continues after the last one, in spite of changes", (setup) => {
  const all = Array.from({ length: 40 }, (_, i) => `key-${String(i).padStart(2, "0")}`);
  for (const key of all) {
    setup.table.put(key, "value");
    setup.table.commit();
  }
  const seen: string[] = [];
  for (let page = setup.keys({ limit: 7 }); page.length > 0;) {
    seen.push(...page);
    setup.table.delete(page[0]!);
    setup.table.put(`${page.at(-1)}!`, "new, and after the page");
    setup.table.commit();
    page = setup.keys({ after: `${page.at(-1)}!`, limit: 7 });
  }
  assertEquals(seen, all);
});
