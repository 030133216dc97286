/**
 * Pages of keys among many that have expired: what a page costs, as a count of the records that it comes by.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Memtable } from "../../../tables/memtable/memtable.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import type { KeyPage } from "../../../tables/table.ts";

/** Ten times as many as a page skips. */
const EXPIRED = 100_000;
const PAGE_KEYS = 1_000;
const SKIPPED_KEYS_MAX = 10_000;

/** Counts the records that pages come by. */
class CountingMemtable extends Memtable {
  looks = 0;

  override *page(range: Parameters<Memtable["page"]>[0]): Generator<number> {
    for (const ref of super.page(range)) {
      this.looks++;
      yield ref;
    }
  }
}

Deno.test("100,000 keys that expire at once hold up no page, and no key is left out", () => {
  let now = 0;
  const memtable = new CountingMemtable();
  const table = new MemoryTable({ now: () => now, memtable });
  const living: string[] = [];
  for (let i = 0; i < EXPIRED; i++) {
    const key = String(i).padStart(6, "0");
    table.put(`${key}:dies`, "value", { expiresAt: 1 });
    if (i % 10_000 === 0 || i === EXPIRED - 1) living.push(`${key}:lives`);
  }
  for (const key of living) table.put(key, "value");
  table.commit();
  now = 1;
  const pageAfter = (after: string): KeyPage => {
    memtable.looks = 0;
    const page = table.keys({ prefix: "", after, limit: PAGE_KEYS });
    assert(memtable.looks <= SKIPPED_KEYS_MAX + PAGE_KEYS + 1, `${memtable.looks} records`);
    return page;
  };
  for (let i = 0; i < 20; i++) pageAfter("");
  assertEquals(table.count(), living.length);
  const listed: string[] = [];
  let pages = 0;
  for (let page: KeyPage; (page = pageAfter(listed.at(-1) ?? "")).hasMore;) {
    listed.push(...page.keys);
    table.maintain();
    assert(++pages <= EXPIRED / 1_000, "pages come to an end as expired keys are removed");
  }
  listed.push(...pageAfter(listed.at(-1)!).keys);
  assertEquals(listed, living);
});

Deno.test("removed keys cost a page nothing", () => {
  const memtable = new CountingMemtable();
  const table = new MemoryTable({ memtable });
  for (let i = 0; i < 50_000; i++) table.put(`a${i}`, "value");
  table.put("b", "value");
  table.commit();
  for (let i = 0; i < 50_000; i++) table.delete(`a${i}`);
  for (const isCommitted of [false, true]) {
    memtable.looks = 0;
    const page = table.keys({ prefix: "", after: "", limit: PAGE_KEYS });
    assertEquals([page.keys, page.hasMore, memtable.looks], [["b"], false, 1]);
    if (!isCommitted) table.commit();
  }
});
