/**
 * Keys that the flat store lacks: SQLite is asked for a row unless each row has a record in the store, and what
 * is stored, counted and deleted is right either way.
 *
 * @module
 */

import { StatementSync } from "node:sqlite";
import { assert, assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { DiskFullError } from "../../../tables/durable/errors.ts";
import { Rows } from "../../../tables/durable/rows.ts";
import { ALL, maintainAll, tableTest } from "./table_in_folder.ts";

const SEGMENT_BYTES = 2_048;
const LARGE_CACHE = 10_000_000;
const KEYS = Array.from({ length: 100 }, (_, i) => `key-${String(i).padStart(2, "0")}`);

tableTest("new and absent keys are not looked up while each row has a record", (folder) => {
  const table = open(folder);
  store(table, KEYS);
  moveAll(table);
  assert(table.stats().rows! >= KEYS.length, `${table.stats().rows} rows`);
  const { cache_misses } = table.stats();
  assertEquals(lookUps(() => store(table, KEYS.map((key) => `new ${key}`))), 0);
  assertEquals(lookUps(() => table.get("absent")), 0);
  assertEquals(lookUps(() => table.delete("absent")), 0);
  assertEquals(table.stats().cache_misses, cache_misses);
  check(table, [...KEYS, ...KEYS.map((key) => `new ${key}`)]);
  table.close();
});

tableTest("after a start keys are looked up until each row has been read", (folder) => {
  const first = open(folder);
  store(first, KEYS);
  moveAll(first);
  first.close();

  const table = open(folder);
  const [replaced, deleted, ...others] = KEYS;
  assertEquals(lookUps(() => store(table, ["new"])), 1);
  assertEquals(lookUps(() => store(table, [replaced!])), 1);
  assertEquals(lookUps(() => remove(table, [deleted!])), 1);
  const rest = [replaced!, ...others, "new"];
  assertEquals(lookUps(() => check(table, rest)), others.length);
  assertEquals(lookUps(() => store(table, ["newer", deleted!])), 0);
  check(table, [...rest, deleted!, "newer"]);
  table.close();
});

tableTest("keys are looked up again once rows were evicted", (folder) => {
  const keys = KEYS.slice(0, 20).map((key) => `large ${key}`); // Eviction leaves the newest small ones.
  const table = open(folder, { cacheBytes: 0 });
  store(table, keys);
  moveAll(table);
  assertEquals(lookUps(() => check(table, keys)), keys.length);
  assertEquals(lookUps(() => table.get("absent")), 0, "all rows have been read");
  maintainAll(table);
  assertEquals(lookUps(() => table.get("absent")), 1, "some were evicted again");
  const [replaced, deleted] = [keys.slice(0, 10), keys.slice(10)];
  store(table, replaced);
  remove(table, deleted);
  check(table, replaced);
  moveAll(table);
  store(table, deleted);
  moveAll(table);
  check(table, keys);
  table.close();
});

tableTest("deleted keys are known to be absent before and after their rows go", (folder) => {
  const table = open(folder);
  store(table, KEYS);
  moveAll(table);
  const [deleted, others] = [KEYS.slice(0, 50), KEYS.slice(50)];
  remove(table, deleted);
  assertEquals(lookUps(() => store(table, ["new", deleted[0]!])), 0);
  remove(table, ["new", deleted[0]!]);
  const before = table.stats().rows!;
  moveAll(table);
  assertEquals(before - table.stats().rows!, deleted.length);
  assertEquals(lookUps(() => check(table, others)), 0);
  assertEquals(lookUps(() => store(table, deleted)), 0);
  moveAll(table);
  const last = reopened(table, folder);
  check(last, KEYS);
  last.close();
});

tableTest("CLEAR hides unread rows until it is undone or moved", (folder) => {
  const first = open(folder);
  store(first, KEYS);
  moveAll(first);

  const table = reopened(first, folder);
  const mark = table.mark();
  table.clear();
  assertEquals(lookUps(() => table.put(KEYS[0]!, "undone")), 0);
  table.undo(mark);
  assertEquals(lookUps(() => table.get(KEYS[0]!)), 1);
  assertEquals(lookUps(() => table.get("absent")), 1);
  check(table, KEYS);

  const again = reopened(table, folder);
  again.clear();
  again.commit();
  assertEquals(lookUps(() => store(again, KEYS.slice(0, 10))), 0, "the CLEAR is pending");
  moveAll(again);
  assertEquals(lookUps(() => store(again, KEYS.slice(10, 20))), 0, "the CLEAR was moved");
  moveAll(again);
  const last = reopened(again, folder);
  check(last, KEYS.slice(0, 20));
  last.close();
});

tableTest("rows that are removed because they expired are no longer counted on", (folder) => {
  let now = 1_000;
  const first = open(folder, { now: () => now });
  const [expiring, others] = [KEYS.slice(0, 50), KEYS.slice(50)];
  store(first, expiring, 2_000);
  store(first, others);
  moveAll(first);

  const table = reopened(first, folder, { now: () => now });
  for (const key of expiring.slice(0, 25)) table.get(key);
  now = 3_000;
  maintainAll(table);
  assertEquals(lookUps(() => table.get(expiring[0]!)), 1, "other rows were not read yet");
  assertEquals(lookUps(() => check(table, others)), others.length);
  assertEquals(lookUps(() => store(table, expiring)), 0);
  moveAll(table);
  const last = reopened(table, folder, { now: () => now });
  check(last, KEYS);
  last.close();
});

tableTest("after a kill each key has one row, whatever had been moved", (folder) => {
  const table = open(folder, { moveBytes: 1 });
  store(table, KEYS.slice(0, 50));
  moveAll(table);
  const stored = new Set(KEYS.slice(0, 50));
  for (const [i, key] of KEYS.entries()) {
    if (i % 3 === 0) remove(table, [key]);
    else store(table, [key]);
    stored[i % 3 === 0 ? "delete" : "add"](key);
    if (i % 10 === 0) checkKilled(folder, [...stored]);
  }
  table.close();
});

tableTest("a move that fails changes nothing that is known of rows", (folder) => {
  const first = open(folder);
  store(first, KEYS.slice(0, 50));
  moveAll(first);
  const table = reopened(first, folder);
  store(table, KEYS.toReversed()); // The new ones first, which the move takes first.
  remove(table, KEYS.slice(0, 10));
  const { rows } = table.stats();
  const { move } = Rows.prototype;
  let failures = 0;
  Rows.prototype.move = function (write) {
    move.call(this, () => {
      write();
      failures++;
      throw new DiskFullError();
    });
  };
  try {
    table.maintain();
  } finally {
    Rows.prototype.move = move;
  }
  assertEquals([failures, table.stats().rows], [1, rows]);
  check(table, KEYS.slice(10));
  assertEquals(lookUps(() => table.get("absent")), 0);
  maintainAll(table);
  assertEquals(lookUps(() => store(table, KEYS.slice(0, 10))), 0);
  moveAll(table);
  const last = reopened(table, folder);
  check(last, KEYS);
  last.close();
});

function open(
  folder: string,
  options: { cacheBytes?: number; moveBytes?: number; now?: () => number } = {},
): DurableTable {
  return new DurableTable(folder, {
    cacheBytes: LARGE_CACHE,
    segmentBytes: SEGMENT_BYTES,
    ...options,
  });
}

/** Closes a table, and opens what it has left. */
function reopened(
  table: DurableTable,
  folder: string,
  options: { now?: () => number } = {},
): DurableTable {
  table.close();
  return open(folder, options);
}

function valueOf(key: string): string {
  return `value of ${key} `.repeat(key.startsWith("large") ? 5_000 : 1);
}

/** Stores each key, a turn for each. */
function store(
  table: DurableTable,
  keys: readonly string[],
  expiresAt: number | null = null,
): void {
  for (const key of keys) {
    table.put(key, valueOf(key), { expiresAt });
    table.commit();
  }
}

function remove(table: DurableTable, keys: readonly string[]): void {
  for (const key of keys) table.delete(key);
  table.commit();
}

/** Moves everything to the rows, except for a key that takes the next segment. */
function moveAll(table: DurableTable): void {
  for (let i = 0; i < 2; i++) {
    table.put("filler", "x".repeat(SEGMENT_BYTES));
    table.commit();
    maintainAll(table);
  }
  table.delete("filler");
  table.commit();
}

/** Checks that the table holds these keys and no others. */
function check(table: DurableTable, keys: readonly string[]): void {
  for (const key of keys) assertEquals(String(table.get(key)), valueOf(key));
  assertEquals(table.keys(ALL).keys, keys.toSorted());
  assertEquals(table.count(), keys.length);
}

/** Checks a start on what a kill would leave in a folder now. */
function checkKilled(folder: string, keys: readonly string[]): void {
  const killed = Deno.makeTempDirSync({ dir: folder });
  for (const { name } of Deno.readDirSync(folder)) {
    if (/[.](db|db-wal|log[.]\d)$/.test(name)) {
      Deno.copyFileSync(`${folder}/${name}`, `${killed}/${name}`);
    }
  }
  const table = open(killed);
  store(table, KEYS.slice(0, 2));
  check(table, [...new Set([...keys, ...KEYS.slice(0, 2)])]);
  assertEquals(lookUps(() => table.get("absent")), 0, "all rows have been read");
  store(table, KEYS);
  moveAll(table);
  check(table, KEYS);
  table.close();
}

/** How often SQLite is asked for one row. */
function lookUps(run: () => unknown): number {
  const { get } = StatementSync.prototype;
  let count = 0;
  StatementSync.prototype.get = function (...parameters: unknown[]) {
    if (/FROM entries/.test(this.sourceSQL)) count++;
    return Reflect.apply(get, this, parameters);
  };
  try {
    run();
  } finally {
    StatementSync.prototype.get = get;
  }
  return count;
}
