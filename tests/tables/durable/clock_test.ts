/**
 * A clock that jumps: what has expired and was removed is gone for good, whatever the clock says later, and so
 * is what was deleted after it had expired.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { drawFrom } from "../../support/draw.ts";
import { FakeDisk } from "./fake_disk.ts";
import { ALL, maintainAll } from "./table_in_folder.ts";

const [BEGIN, SOON] = [1_000, 2_000];

/** A table with keys that expire soon and one that does not, at a time that a test sets. */
class Clocked {
  now = BEGIN;
  readonly disk = new FakeDisk();
  table = this.#open();

  constructor() {
    for (const key of ["a", "b", "c"]) this.table.put(key, "value", { expiresAt: SOON });
    this.table.put("stays", "value");
    this.table.commit();
  }

  get keys(): string[] {
    return this.table.keys(ALL).keys;
  }

  /** After a clean stop, a kill and a power cut, with the clock put back, the table has these keys. */
  holds(keys: string[]): void {
    this.now = BEGIN;
    assertEquals(this.keys, keys);
    for (const left of [this.disk.afterKill(), this.disk.afterPowerCut(drawFrom(1))]) {
      const table = this.#open(left);
      assertEquals(table.keys(ALL).keys, keys);
      table.close();
    }
    this.table.close();
    this.table = this.#open();
    assertEquals(this.keys, keys);
    this.table.check();
  }

  #open(disk = this.disk): DurableTable {
    return new DurableTable("data", { slotBytes: 1_024, cacheBytes: 0, now: () => this.now, disk });
  }
}

Deno.test("keys that have expired and were removed do not return when the clock is put back", () => {
  const clocked = new Clocked();
  clocked.now = SOON;
  assertEquals(clocked.keys, ["stays"]);
  maintainAll(clocked.table);
  assertEquals(clocked.table.stats().expired_keys, 3);
  clocked.holds(["stays"]);
});

Deno.test("keys that have expired and were not removed yet are there again when the clock is put back", () => {
  const clocked = new Clocked();
  clocked.now = SOON;
  assertEquals(clocked.keys, ["stays"]);
  clocked.holds(["a", "b", "c", "stays"]);
});

Deno.test("DELETE of a key that has expired is for good", () => {
  const clocked = new Clocked();
  clocked.now = SOON;
  clocked.table.delete("b");
  clocked.table.commit();
  clocked.holds(["a", "c", "stays"]);
});

Deno.test("CLEAR of keys that have expired is for good", () => {
  const clocked = new Clocked();
  clocked.table.delete("stays");
  clocked.table.commit();
  clocked.now = SOON;
  clocked.table.clear();
  clocked.table.commit();
  clocked.holds([]);
});

Deno.test("a start after a key has expired removes it, and an undone removal is none", () => {
  const clocked = new Clocked();
  clocked.table.close();
  clocked.now = SOON;
  clocked.table = new DurableTable("data", {
    slotBytes: 1_024,
    cacheBytes: 0,
    now: () => clocked.now,
    disk: clocked.disk,
  });
  clocked.table.delete("a");
  clocked.table.undo(0);
  clocked.now = BEGIN;
  assertEquals(clocked.keys, ["a", "b", "c", "stays"]);
  clocked.now = SOON;
  maintainAll(clocked.table);
  clocked.holds(["stays"]);
});
