/**
 * Every table does the same: one suite over all of them, then random operations that hold each to the
 * model, a Map, then what only the table on disk does.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of operations are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { OpenError } from "../../tables/durable/errors.ts";
import { numberFrom, tempFolder, testWith } from "../support/harness.ts";
import {
  BEGIN,
  DURABLE_TABLE,
  type Kind,
  MEMORY_TABLE,
  MODEL_TABLE,
  REAL_TABLES,
  TableSetup,
  testEach,
} from "../support/table_model.ts";

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

/** What a random sequence is made of; `ends` is in milliseconds from its moment on. */
type Operation =
  | { do: "put"; key: string; value: string; ends: number | null }
  | { do: "delete"; key: string }
  | { do: "expire"; key: string; ends: number | null }
  | { do: "undo"; back: number }
  | { do: "wait"; milliseconds: number }
  | { do: "list"; prefix: string; after: string; limit: number }
  | { do: "clear" | "commit" | "maintain" | "reopen" };

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
      some(2, fc.record({ do: just("maintain") })),
      some(1, fc.record({ do: just("clear") })),
      some(1, fc.record({ do: just("reopen") })),
    ),
    { minLength: 20, maxLength: 120 },
  );
}

/** The table that is tried, beside the model to which the same is done. */
class Pair implements Disposable {
  readonly #tried: TableSetup;
  readonly #model = new TableSetup(MODEL_TABLE);
  /** The version that the tried table gave where the model gave this one. */
  readonly #versions = new Map<number | undefined, number>();
  /** A mark of each before every operation of this turn. */
  #marks: [tried: number, model: number, standing: number][] = [];
  #lastVersion = 0;
  /** The last one that was given and not undone. */
  #standingVersion = 0;
  /** A version that was given behind this one, and not committed, may be given again: nobody saw it. */
  #committedVersion = 0;

  constructor(kind: Kind) {
    this.#tried = new TableSetup(kind);
  }

  do(operation: Operation): void {
    const marks = [this.#tried.table.mark(), this.#model.table.mark()] as const;
    this.#marks.push([...marks, this.#standingVersion]);
    switch (operation.do) {
      case "put":
        return this.#put(operation);
      case "wait":
        return this.#both((setup) => void (setup.now += operation.milliseconds));
      case "maintain": // What a step takes on is the table's own affair.
        return [this.#tried, this.#model].forEach((setup) => setup.table.maintain());
      case "reopen":
        this.#lastVersion = this.#standingVersion = this.#committedVersion;
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
      this.#both((setup) => setup.get(key));
      const [tried, model] = [this.#tried.entry(key), this.#model.entry(key)];
      assertEquals([tried?.value, tried?.expiresAt], [model?.value, model?.expiresAt]);
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
    if (this.#tried.table.commit()) this.#committedVersion = this.#standingVersion;
    this.#marks = [];
  }

  /** Undoes some operations of this turn. */
  #undo(back: number): void {
    this.#marks.splice(Math.max(0, this.#marks.length - back - 1) + 1);
    const [tried, model, standing] = this.#marks.pop()!;
    this.#standingVersion = standing;
    this.#tried.table.undo(tried);
    this.#model.table.undo(model);
  }

  #put({ key, value, ends }: { key: string; value: string; ends: number | null }): void {
    const [tried, model] = [this.#tried, this.#model].map(({ table, now }) =>
      table.put(key, value, ends === null ? undefined : { expiresAt: now + ends })
    );
    assert(tried! > this.#lastVersion, `version ${tried} after ${this.#lastVersion}`);
    this.#lastVersion = this.#standingVersion = tried!;
    this.#versions.set(model, tried!);
  }
}

for (const kind of REAL_TABLES) {
  testWith(["read", "write"], `${kind.name}: random operations do what they do to a Map`, () => {
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

testEach("keys that a plain Map would hold in one chain are held", (setup) => {
  // Sixty thousand of them would take half a minute.
  for (let i = 0; i < 60_000; i++) setup.table.put(String(i * 65_536), String(i));
  setup.table.commit();
  assertEquals(setup.table.count(), 60_000);
  assertEquals(setup.get(String(59_999 * 65_536)), "59999");
}, REAL_TABLES);
