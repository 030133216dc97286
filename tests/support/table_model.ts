/**
 * What the tests of tables share: every kind of table under one interface, with a clock that a test moves,
 * and with the end of a process and the start of the next.
 *
 * @module
 */

import { MemoryTable } from "../../tables/memory_table.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import type { Clock, Page, Table } from "../../tables/table.ts";
import { tempFolder, testWith } from "./harness.ts";
import { ModelTable } from "./model_table.ts";

/** The time of a new setup, in milliseconds since 1970. */
export const BEGIN = 1_000_000;
/** Values outgrow this at once, so that tests see hits, misses and evictions. */
const CACHE_BYTES = 4_096;
/** Slots of the log that hold some turns of a test, and ones that hold all of them. */
const SLOT_BYTES = { some: 4_096, all: 1_048_576 };

/** More steps of work than any test needs. */
const STEPS_MAX = 10_000;

/** A table with a clock of its own. Use it with `using`, which removes its folder. */
export class TableSetup implements Disposable {
  /** The time of the table, in milliseconds since 1970. */
  now = BEGIN;
  readonly #folder: string | undefined;
  readonly #open: (folder: string, now: Clock) => Table;
  #table: Table;

  /** A new, empty table. */
  constructor({ open, hasFolder }: Kind) {
    this.#open = open;
    this.#folder = hasFolder ? tempFolder() : undefined;
    this.#table = open(this.#folder ?? "", () => this.now);
  }

  /** The table, as it was opened last. */
  get table(): Table {
    return this.#table;
  }

  /** Closes the table and opens it again: what was not committed is gone. */
  reopen(): void {
    this.#table.undo(0);
    this.check();
    if (this.#folder === undefined) return;
    this.#table.close();
    this.#table = this.#open(this.#folder, () => this.now);
  }

  /** Lets a table that can do so check itself. */
  check(): void {
    if (this.#table instanceof DurableTable) this.#table.check();
  }

  /** Keys of a page, with everything in the page that is left out here. */
  keys({ prefix = "", after = "", limit = 1_000 }: Partial<Page> = {}): string[] {
    return this.#table.keys({ prefix, after, limit }).keys;
  }

  /** The value of a key as a string. */
  get(key: string): string | undefined {
    return this.#table.get(key)?.toString();
  }

  /** The entry of a key, its value as a string. */
  entry(key: string): { value: string; version: number; expiresAt: number | null } | undefined {
    const entry = this.#table.entry(key);
    return entry && { ...entry, value: String(entry.value) };
  }

  /** Does all the work that waits; returns how many steps that took. */
  maintainAll(): number {
    let steps = 1;
    while (this.#table.maintain()) {
      if (++steps > STEPS_MAX) throw new Error("The table never runs out of work");
    }
    return steps;
  }

  /** Puts a key so often that what was stored before is compacted, in a table that has a log. */
  compactAllBut(key: string): void {
    for (let i = 0; i < 8; i++) {
      this.#table.put(key, "x".repeat(SLOT_BYTES.some));
      this.#table.commit();
      this.maintainAll();
    }
  }

  [Symbol.dispose](): void {
    this.#table.close();
    if (this.#folder !== undefined) Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** A kind of table, and how one is opened. */
export interface Kind {
  readonly name: string;
  readonly hasFolder: boolean;
  readonly open: (folder: string, now: Clock) => Table;
}

/** The plainest table, which the others must agree with. */
export const MODEL_TABLE: Kind = {
  name: "model table",
  hasFolder: false,
  open: (_, now) => new ModelTable(now),
};

/** The table of `--memory`. */
export const MEMORY_TABLE: Kind = {
  name: "memory table",
  hasFolder: false,
  open: (_, now) => new MemoryTable({ now }),
};

/** The table on disk with slots so small that they are used again and again, and little room for values. */
export const DURABLE_TABLE: Kind = {
  name: "durable table",
  hasFolder: true,
  open: (folder, now) =>
    new DurableTable(folder, { cacheBytes: CACHE_BYTES, now, slotBytes: SLOT_BYTES.some }),
};

/** The table on disk in one slot, with all values in memory. */
export const DURABLE_IN_MEMORY: Kind = {
  name: "durable table, all in memory",
  hasFolder: true,
  open: (folder, now) =>
    new DurableTable(folder, { cacheBytes: Infinity, now, slotBytes: SLOT_BYTES.all }),
};

/** The tables of a server. */
export const REAL_TABLES: readonly Kind[] = [MEMORY_TABLE, DURABLE_TABLE, DURABLE_IN_MEMORY];

/** What it takes to open a table of this kind. */
export function permissionsOf({ hasFolder }: Kind): ("read" | "write")[] {
  return hasFolder ? ["read", "write"] : [];
}

/** A test of tables of any kind. */
interface TableTest {
  readonly name: string;
  readonly fn: (setup: TableSetup) => void;
}

/** While this is open, a file adds its tests here when it is imported, and defines none. */
export const collected = { isOpen: false, tests: [] as TableTest[] };

/** Defines a test for each of these kinds of table; all of them where they are left out. */
export function testEach(
  name: string,
  fn: (setup: TableSetup) => void,
  kinds: readonly Kind[] = [MODEL_TABLE, ...REAL_TABLES],
): void {
  if (collected.isOpen) {
    collected.tests.push({ name, fn });
    return;
  }
  for (const kind of kinds) {
    testWith(permissionsOf(kind), `${kind.name}: ${name}`, () => {
      using setup = new TableSetup(kind);
      fn(setup);
    });
  }
}
