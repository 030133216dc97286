/**
 * Every table does the same: one suite over all of them, then random operations that hold the SQLite
 * table to the memory table, then the parts that tables are made of.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of operations are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { EntryCache } from "../tables/entry_cache.ts";
import { KeyMap } from "../tables/key_map.ts";
import { SortedList } from "../tables/sorted_list.ts";
import { OpenError } from "../tables/sqlite_file.ts";
import { SqliteTable } from "../tables/sqlite_table.ts";
import { compareCodePoints, type Entry } from "../tables/table.ts";
import { tempFolder, testWith } from "./harness.ts";
import {
  BEGIN,
  type Kind,
  MEMORY_TABLE,
  SQLITE_LOG,
  SQLITE_TABLE,
  TableSetup,
  testEach,
} from "./table_model.ts";

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

testEach("a value is there once it is put, and gone once it is deleted", ({ table }) => {
  assertEquals(table.get("key"), undefined);
  table.put("key", "one");
  assertEquals(table.get("key"), "one");
  table.put("key", "two");
  assertEquals(table.get("key"), "two");
  table.delete("key");
  assertEquals(table.get("key"), undefined);
  table.commit();
  assertEquals(table.get("key"), undefined);
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
      assertEquals(setup.table.get(`${text.slice(0, 100)}${i}`), text);
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
  setup.tendAll();
  setup.reopen();
  assertEquals(setup.table.get("old-3"), undefined);
  assertEquals(setup.keys(), ["new"]);
  assertEquals(setup.table.count(), 1);
});

testEach("CLEAR after CLEAR, tended or not, leaves nothing", (setup) => {
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 10; i++) setup.table.put(`${round}-${i}`, "value");
    setup.table.commit();
    assertEquals(setup.table.count(), 10);
    setup.table.clear();
    setup.table.commit();
    if (round % 3 === 0) setup.tendAll();
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
    assertEquals(setup.table.entry("key")?.version, version);
  };
  put();
  put();
  setup.table.commit();
  put(); // This one is undone, and its version is not given again either.
  setup.table.undo(setup.table.mark() - 1);
  put();
  setup.table.delete("key");
  put();
  setup.table.commit();
  setup.reopen();
  assertEquals(setup.table.entry("key")?.version, last);
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
    assertEquals(setup.table.get("ends"), "value");
    assertEquals(setup.table.entry("ends too")?.expiresAt, BEGIN + 100);
    assertEquals(setup.table.count(), 3);
    assertEquals(setup.keys(), ["ends", "ends too", "stays"]);
    setup.now = BEGIN + 100;
    for (const key of ["ends", "ends too"]) {
      assertEquals(setup.table.get(key), undefined);
      assertEquals(setup.table.entry(key), undefined);
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
    assertEquals({ ...setup.table.entry("key") }.expiresAt, expiresAt);
    setup.table.commit();
    setup.reopen();
    const entry = setup.table.entry("key")!;
    assertEquals([entry.value, entry.version, entry.expiresAt], ["value", version, expiresAt]);
  }
  assertEquals(setup.table.expire("absent", BEGIN + 10), false);
  assertEquals(setup.table.get("absent"), undefined);
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
    else setup.tendAll();
  }
  setup.reopen();
  assertEquals(setup.table.get("put before its end"), "two");
  assertEquals(setup.table.get("put behind its end"), "two");
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
  assertEquals(setup.table.get("key"), "one");
  setup.now = BEGIN + 10;
  setup.tendAll();
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
  assertEquals(table.get("changed"), "before the mark");
  assertEquals(table.get("kept"), "kept");
  assertEquals(table.entry("ends")?.expiresAt, BEGIN + 10);
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
  assertEquals(table.get("row-1"), "committed");
  assertEquals(table.get("put before"), "in this turn");
  assertEquals(table.count(), 11);
  table.commit();
  setup.reopen();
  assertEquals(setup.table.count(), 11);
  assertEquals(setup.table.get("put behind"), undefined);
});

testEach("a commit says whether there was anything to commit", ({ table }) => {
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
  assertEquals(table.get("key"), "value");
  table.clear();
  assertEquals(table.commit(), true);
});

testEach("ended keys are removed in steps, and removed they do not come back", (setup) => {
  const COUNT = 5_000;
  for (let i = 0; i < COUNT; i++) setup.table.put(`key-${i}`, "value", { expiresAt: BEGIN + 10 });
  setup.table.commit();
  for (let i = 0; i < 30; i++) { // So many commits, because each moves but some of them to rows.
    setup.table.put("stays", "value");
    setup.table.commit();
  }
  assertEquals(setup.table.tend(), false);
  setup.now = BEGIN + 10;
  const countAfter = () => {
    setup.now = BEGIN; // As if they had not ended, so that those count which are still there.
    const count = setup.table.count();
    setup.now = BEGIN + 10;
    return count;
  };
  assertEquals(setup.table.tend(), true);
  const left = countAfter();
  assert(left > COUNT / 2, `one step has left ${left}`);
  assert(left < COUNT, "a step has removed nothing");
  setup.tendAll();
  assertEquals(countAfter(), 1);
  assertEquals(setup.table.count(), 1);
  setup.reopen();
  assertEquals(countAfter(), 1);
}, [MEMORY_TABLE, SQLITE_TABLE]);

testEach("work that waits is left alone in the middle of a turn", (setup) => {
  for (let i = 0; i < 10; i++) {
    setup.table.put(`key-${i}`, "value", { expiresAt: BEGIN + 10 });
    setup.table.commit();
  }
  setup.now = BEGIN + 10;
  setup.table.put("key-0", "again");
  assertEquals(setup.table.tend(), true);
  setup.table.undo(0);
  setup.tendAll();
  assertEquals(setup.table.count(), 0);
}, [SQLITE_TABLE]);

testWith(
  ["read", "write"],
  "rows that CLEAR has left are removed in steps, and their room is used again",
  () => {
    using setup = new TableSetup(SQLITE_TABLE);
    const fill = () => {
      // As many as no single step removes.
      for (let i = 0; i < 10_000; i++) setup.table.put(`key-${i}`, "x".repeat(500));
      setup.table.commit();
      for (let i = 0; i < 20; i++) {
        setup.table.put("so that the log moves", String(i));
        setup.table.commit();
      }
    };
    fill();
    const bytes = setup.table.figures().disk_bytes!;
    setup.table.clear();
    setup.table.commit();
    assert(setup.tendAll() > 1);
    for (let round = 0; round < 3; round++) {
      fill();
      setup.table.clear();
      setup.table.commit();
      setup.tendAll();
    }
    assert(setup.table.figures().disk_bytes! < 1.5 * bytes);
  },
);

testWith(
  ["read", "write"],
  "the log stays short where small changes come before large ones",
  () => {
    const folder = tempFolder();
    const table = new SqliteTable(folder, { cacheBytes: 0 });
    for (let i = 0; i < 40_000; i++) table.put(`small-${i}`, "value");
    table.commit();
    for (let i = 0; i < 60; i++) {
      table.put(`large-${i}`, "x".repeat(1_000_000));
      table.commit();
    }
    // Those that are in the log now are the last of the large ones.
    assert(table.figures().log_changes! < 100, `${table.figures().log_changes}`);
    assertEquals(table.count(), 40_060);
    table.close();
    Deno.removeSync(folder, { recursive: true });
  },
);

testWith(["read", "write"], "a turn of large values takes several rows of the log", () => {
  const folder = tempFolder();
  const table = new SqliteTable(folder, { cacheBytes: 0 });
  for (let i = 0; i < 5; i++) table.put(`key-${i}`, "x".repeat(600_000));
  table.commit();
  const db = new DatabaseSync(`${folder}/keyline.db`, { readOnly: true });
  const sizes = db.prepare("SELECT length(changes) AS size FROM log WHERE size > 9 ORDER BY id")
    .all();
  db.close();
  assertEquals(sizes.map(({ size }) => Math.round(Number(size) / 600_000)), [2, 2, 1]);
  table.close();
  const again = new SqliteTable(folder, { cacheBytes: 0 });
  for (let i = 0; i < 5; i++) assertEquals(again.get(`key-${i}`)?.length, 600_000);
  again.close();
  Deno.removeSync(folder, { recursive: true });
});

testWith(["read", "write"], "a table that holds nothing in memory still finds its rows", () => {
  const folder = tempFolder();
  const table = new SqliteTable(folder, { cacheBytes: 0, logChangesMax: 0 });
  for (let i = 0; i < 100; i++) table.put(`key-${i}`, `value-${i}`);
  table.commit();
  table.put("so that the log moves", "value");
  table.commit();
  assertEquals(table.get("key-7"), "value-7");
  const { cache_entries, cache_hits, cache_misses } = table.figures();
  assertEquals([cache_entries, cache_hits], [0, 0]);
  assert(cache_misses! > 0);
  table.close();
  Deno.removeSync(folder, { recursive: true });
});

testWith(
  ["read", "write"],
  "a folder that is in use can't be opened again, in one process neither",
  () => {
    const folder = tempFolder();
    const table = new SqliteTable(folder, { cacheBytes: 0 });
    assertThrows(
      () => new SqliteTable(folder, { cacheBytes: 0 }),
      OpenError,
      `process ${Deno.pid}, since `,
    );
    table.close();
    new SqliteTable(folder, { cacheBytes: 0 }).close();
    Deno.removeSync(folder, { recursive: true });
  },
);

/** What a random sequence is made of; `ends` is in milliseconds from its moment on. */
type Operation =
  | { do: "put"; key: string; value: string; ends: number | null }
  | { do: "delete"; key: string }
  | { do: "expire"; key: string; ends: number | null }
  | { do: "undo"; back: number }
  | { do: "wait"; milliseconds: number }
  | { do: "list"; prefix: string; after: string; limit: number }
  | { do: "clear" | "commit" | "tend" | "reopen" };

const KEYS = ["a", "ab", "b", "b\u{ffff}", "b\u{1f600}", "c", "d", "e"];

/** Sequences of operations, those that change something before all. */
function operations(): fc.Arbitrary<Operation[]> {
  const key = fc.constantFrom(...KEYS);
  const value = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
    fc.integer({ min: 1, max: 5_000 }).map((length) => "\u20ac".repeat(length)),
  );
  const milliseconds = fc.integer({ min: 0, max: 40 });
  const ends = fc.option(milliseconds, { freq: 2 });
  const just = <Verb extends string>(verb: Verb) => fc.constant(verb);
  const some = <Drawn>(weight: number, arbitrary: fc.Arbitrary<Drawn>) => ({ weight, arbitrary });
  return fc.array(
    fc.oneof(
      some(10, fc.record({ do: just("put"), key, value, ends })),
      some(4, fc.record({ do: just("delete"), key })),
      some(3, fc.record({ do: just("expire"), key, ends })),
      some(2, fc.record({ do: just("undo"), back: fc.integer({ min: 1, max: 4 }) })),
      some(3, fc.record({ do: just("wait"), milliseconds })),
      some(
        2,
        fc.record({
          do: just("list"),
          prefix: fc.constantFrom("", "a", "b", "x"),
          after: fc.constantFrom("", ...KEYS),
          limit: fc.integer({ min: 0, max: 5 }),
        }),
      ),
      some(10, fc.record({ do: just("commit") })),
      some(2, fc.record({ do: just("tend") })),
      some(1, fc.record({ do: just("clear") })),
      some(1, fc.record({ do: just("reopen") })),
    ),
    { minLength: 20, maxLength: 120 },
  );
}

/** The table that is tried, beside the memory table to which the same is done. */
class Pair implements Disposable {
  readonly #tried: TableSetup;
  readonly #model = new TableSetup(MEMORY_TABLE);
  /** The version that the tried table gave where the model gave this one. */
  readonly #versions = new Map<number | undefined, number>();
  /** A mark of each before every operation of this turn. */
  #marks: [tried: number, model: number][] = [];
  #lastVersion = 0;
  /** A version that was given behind this one, and not committed, may be given again: nobody saw it. */
  #committedVersion = 0;

  constructor(kind: Kind) {
    this.#tried = new TableSetup(kind);
  }

  do(operation: Operation): void {
    this.#marks.push([this.#tried.table.mark(), this.#model.table.mark()]);
    switch (operation.do) {
      case "put":
        return this.#put(operation);
      case "wait":
        return this.#both((setup) => void (setup.now += operation.milliseconds));
      case "tend": // What a step takes on is the table's own affair.
        return [this.#tried, this.#model].forEach((setup) => setup.table.tend());
      case "reopen":
        this.#lastVersion = this.#committedVersion;
        this.#marks = [];
        return this.#both((setup) => setup.reopen());
      case "commit":
        return this.#commit();
      case "list":
        return this.#both((setup) => setup.keys(operation));
      case "clear":
        return this.#both(({ table }) => table.clear());
      case "delete":
        return this.#both(({ table }) => table.delete(operation.key));
      case "expire":
        return this.#both(({ table, now }) =>
          table.expire(operation.key, operation.ends === null ? null : now + operation.ends)
        );
      case "undo":
        return this.#undo(operation.back);
    }
  }

  /** Both hold the same, whichever way one looks. */
  check(): void {
    for (const key of KEYS) {
      this.#both(({ table }) => table.get(key));
      const [tried, model] = [this.#tried.table.entry(key), this.#model.table.entry(key)];
      assertEquals(tried?.expiresAt, model?.expiresAt);
      assertEquals(tried?.version, this.#versions.get(model?.version));
    }
    this.#both(({ table }) => table.count());
    this.#both((setup) => setup.keys());
  }

  [Symbol.dispose](): void {
    this.#tried[Symbol.dispose]();
    this.#model[Symbol.dispose]();
  }

  #both(look: (setup: TableSetup) => unknown): void {
    assertEquals(look(this.#tried), look(this.#model), look.toString());
  }

  #commit(): void {
    // That both say the same is not asked: one may have removed an ended key that is deleted here.
    this.#model.table.commit();
    if (this.#tried.table.commit()) this.#committedVersion = this.#lastVersion;
    this.#marks = [];
  }

  /** Undoes some operations of this turn. */
  #undo(back: number): void {
    this.#marks.splice(Math.max(0, this.#marks.length - back - 1) + 1);
    const [tried, model] = this.#marks.pop()!;
    this.#tried.table.undo(tried);
    this.#model.table.undo(model);
  }

  #put({ key, value, ends }: { key: string; value: string; ends: number | null }): void {
    const [tried, model] = [this.#tried, this.#model].map(({ table, now }) =>
      table.put(key, value, ends === null ? undefined : { expiresAt: now + ends })
    );
    assert(tried! > this.#lastVersion, `version ${tried} after ${this.#lastVersion}`);
    this.#lastVersion = tried!;
    this.#versions.set(model, tried!);
  }
}

for (const kind of [SQLITE_TABLE, SQLITE_LOG]) {
  testWith(["read", "write"], `${kind.name}: random operations do what they do in memory`, () => {
    const numRuns = numberFrom("KEYLINE_FUZZ_RUNS", 40);
    const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
    console.log(`KEYLINE_FUZZ_SEED=${seed}`);
    const holds = fc.property(operations(), (sequence) => {
      using pair = new Pair(kind);
      for (const operation of sequence) {
        pair.do(operation);
        pair.check();
      }
    });
    fc.assert(holds, { numRuns, seed });
  });
}

Deno.test("the cache gives back what it was given last, until that is deleted", () => {
  const cache = new EntryCache(10_000);
  assertEquals(cache.get("key"), undefined);
  cache.set(entryOf("key", "one"));
  cache.set(entryOf("key", "two"));
  assertEquals(cache.get("key")?.value, "two");
  assertEquals(cache.figures.entries, 1);
  cache.delete("key");
  cache.delete("key");
  assertEquals(cache.get("key"), undefined);
  assertEquals(cache.figures, { bytes: 0, entries: 0, hits: 1, misses: 2 });
});

Deno.test("the cache never holds more than its bound, and makes use of it", () => {
  const BYTES = 100_000;
  const cache = new EntryCache(BYTES);
  for (let i = 0; i < 5_000; i++) {
    cache.set(entryOf(`key-${i % 700}`, "\u20ac".repeat(i % 90)));
    assert(cache.figures.bytes <= BYTES);
    assert(i < 1_000 || cache.figures.bytes > 0.9 * BYTES);
  }
});

Deno.test("an entry larger than the cache is not held, nor what it replaces", () => {
  const cache = new EntryCache(1_000);
  cache.set(entryOf("key", "small"));
  cache.set(entryOf("other", "small"));
  cache.set(entryOf("key", "x".repeat(1_000)));
  assertEquals(cache.get("key"), undefined);
  assertEquals(cache.get("other")?.value, "small");
  const none = new EntryCache(0);
  none.set(entryOf("key", "small"));
  assertEquals(none.get("key"), undefined);
});

Deno.test("entries that are asked for stay in the cache, however many others pass", () => {
  const cache = new EntryCache(100_000);
  const hot = Array.from({ length: 50 }, (_, i) => `hot-${i}`);
  for (const key of hot) cache.set(entryOf(key, "value"));
  for (let i = 0; i < 20_000; i++) {
    cache.set(entryOf(`passing-${i}`, "value"));
    if (i % 50 === 0) hot.forEach((key) => cache.get(key));
  }
  assertEquals(hot.filter((key) => cache.get(key) === undefined), []);
  assert(cache.figures.hits > 20_000);
});

Deno.test("a cache that is hot all over makes room all the same", () => {
  const BYTES = 4_000_000;
  const cache = new EntryCache(BYTES);
  let count = 0;
  for (; cache.figures.entries === count; count++) cache.set(entryOf(`key-${count}`, "value"));
  for (let i = 0; i < count; i++) cache.get(`key-${i}`);
  for (let i = 0; i < count; i++) {
    cache.set(entryOf(`other-${i}`, "value"));
    assert(cache.figures.bytes <= BYTES);
  }
  assert(cache.figures.entries > 0.9 * count);
});

Deno.test("a sorted list is what a sorted array is", () => {
  const numbers = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 2_000 })), {
    minLength: 100,
    maxLength: 3_000,
    size: "max",
  });
  const holds = fc.property(numbers, fc.integer({ min: -1, max: 2_001 }), (steps, from) => {
    const list = new SortedList<number>((a, b) => a - b);
    const model = new Set<number>();
    for (const [isAdded, number] of steps) {
      if (!isAdded) list.delete(number);
      else if (!model.has(number)) list.add(number);
      if (isAdded) model.add(number);
      else model.delete(number);
    }
    const sorted = [...model].sort((a, b) => a - b);
    assertEquals([...list.from(from)], sorted.filter((number) => number >= from));
    assertEquals(list.countBefore(from), sorted.filter((number) => number < from).length);
  });
  fc.assert(holds, { numRuns: 20 });
});

Deno.test("a sorted list of many items stays whole while it grows and shrinks", () => {
  const list = new SortedList<number>((a, b) => a - b);
  const COUNT = 5_000;
  // 7 and COUNT have no common divisor, so every number comes once.
  for (let i = 0; i < COUNT; i++) list.add((i * 7) % COUNT);
  assertEquals([...list.from(0)], Array.from({ length: COUNT }, (_, i) => i));
  assertEquals(list.countBefore(COUNT / 2), COUNT / 2);
  for (let i = 0; i < COUNT; i += 2) list.delete(i);
  assertEquals([...list.from(COUNT - 4)], [COUNT - 3, COUNT - 1]);
  for (let i = 1; i < COUNT; i += 2) list.delete(i);
  assertEquals([...list.from(0)], []);
  assertEquals(list.countBefore(COUNT), 0);
});

Deno.test("code points compare as their UTF-8 bytes do", () => {
  const utf8 = new TextEncoder();
  const text = fc.array(fc.constantFrom(...ORDERED_KEYS), { maxLength: 4 }).map((parts) =>
    parts.join("")
  );
  const holds = fc.property(text, text, (a, b) => {
    const [x, y] = [utf8.encode(a), utf8.encode(b)];
    const i = x.findIndex((byte, i) => byte !== y[i]);
    const bytesCompare = i < 0 ? x.length - y.length : y[i] === undefined ? 1 : x[i]! - y[i]!;
    assertEquals(Math.sign(compareCodePoints(a, b)), Math.sign(bytesCompare));
  });
  fc.assert(holds, { numRuns: 500 });
  assertEquals(ORDERED_KEYS.toReversed().sort(compareCodePoints), ORDERED_KEYS);
});

function entryOf(key: string, value: string): Entry {
  return { key, value, version: 1, expiresAt: null };
}

/** A number from the environment, where that may be read and has one. */
function numberFrom(variable: string, preset: number): number {
  const granted = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  return Number(granted && Deno.env.get(variable) || preset);
}

Deno.test("a KeyMap does what a Map does", () => {
  const keys = [
    "65536",
    "0",
    "007",
    "-1",
    "1e3",
    "99999999999",
    "a",
    "",
    "\u20ac",
    "x".repeat(1_024),
  ];
  for (let i = 0; i < 90; i++) keys.push(`key ${i}`);
  const step = fc.record({ key: fc.constantFrom(...keys), isSet: fc.boolean() });
  fc.assert(fc.property(fc.array(step, { maxLength: 1_000, size: "max" }), (steps) => {
    const map = new KeyMap<{ key: string; step: number }>();
    const model = new Map<string, number>();
    steps.forEach(({ key, isSet }, step) => {
      if (isSet) {
        map.set({ key, step });
        model.set(key, step);
      } else {
        map.delete(key);
        model.delete(key);
      }
    });
    for (const key of keys) assertEquals(map.get(key)?.step, model.get(key));
    assertEquals(map.size, model.size);
    assertEquals([...map].map(({ key }) => key).sort(), [...model.keys()].sort());
  }));
});

testEach("keys that a plain Map would hold in one chain are held", (setup) => {
  // Sixty thousand of them would take half a minute.
  for (let i = 0; i < 60_000; i++) setup.table.put(String(i * 65_536), String(i));
  setup.table.commit();
  assertEquals(setup.table.count(), 60_000);
  assertEquals(setup.table.get(String(59_999 * 65_536)), "59999");
});
