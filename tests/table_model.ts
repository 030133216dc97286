/**
 * What the tests of tables share: every kind of table under one interface, with a clock that stands
 * until it is moved, and with the end and the new start of a process.
 *
 * @module
 */

import { MemoryTable } from "../tables/memory_table.ts";
import { SqliteTable } from "../tables/sqlite_table.ts";
import type { Clock, Page, Table } from "../tables/table.ts";
import { tempFolder, testWith } from "./harness.ts";

/** When the clock of a new setup stands, in milliseconds since 1970. */
export const BEGIN = 1_000_000;
/** A cache that holds some entries but not many, so that tests see hits, misses and evictions. */
const CACHE_BYTES = 4_096;

/** A table with a clock of its own. Use it with `using`, which removes what it has on disk. */
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

  /** Ends the use of the table and begins it anew: what was not committed is gone. */
  reopen(): void {
    this.#table.undo(0);
    if (this.#folder === undefined) return;
    this.#table.close();
    this.#table = this.#open(this.#folder, () => this.now);
  }

  /** Keys of a page, with everything in the page that is left out here. */
  keys({ prefix = "", after = "", limit = 1_000 }: Partial<Page> = {}): string[] {
    return this.#table.keys({ prefix, after, limit });
  }

  /** Does all the work that waits, in how many steps it takes. */
  tendAll(): number {
    let steps = 1;
    while (this.#table.tend()) steps++;
    return steps;
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

/** The table of `--memory`, which is the model for all others. */
export const MEMORY_TABLE: Kind = {
  name: "memory table",
  hasFolder: false,
  open: (_, now) => new MemoryTable(now),
};

/** The table on disk, with hardly a change in its log, so that the rows are used as well. */
export const SQLITE_TABLE: Kind = {
  name: "SQLite table",
  hasFolder: true,
  open: (folder, now) =>
    new SqliteTable(folder, { cacheBytes: CACHE_BYTES, now, logChangesMax: 1 }),
};

/** The same as a server has it: all that a test stores stays in the log. */
export const SQLITE_LOG: Kind = {
  name: "SQLite table, all in its log",
  hasFolder: true,
  open: (folder, now) => new SqliteTable(folder, { cacheBytes: CACHE_BYTES, now }),
};

/** Defines a test for each of these kinds of table; all of them where they are left out. */
export function testEach(
  name: string,
  fn: (setup: TableSetup) => void,
  kinds: readonly Kind[] = [MEMORY_TABLE, SQLITE_TABLE, SQLITE_LOG],
): void {
  for (const kind of kinds) {
    testWith(kind.hasFolder ? ["read", "write"] : [], `${kind.name}: ${name}`, () => {
      using setup = new TableSetup(kind);
      fn(setup);
    });
  }
}
