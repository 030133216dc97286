/**
 * Tests with a durable table in a folder of their own.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { DurableTable } from "../../../tables/durable/durable_table.ts";
import { tempFolder, testWith } from "../../support/harness.ts";

/** Every key, in one page. */
export const ALL = { prefix: "", after: "", limit: 1_000_000 };

/** Defines a test with an empty folder, which is removed at its end. */
export function tableTest(name: string, fn: (folder: string) => void): void {
  testWith(["read", "write"], name, () => {
    const folder = tempFolder();
    try {
      fn(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

/** Maintains the table until nothing is left to do; fails if that takes more than 10,000 steps. */
export function maintainAll(table: DurableTable): void {
  for (let step = 0; table.maintain(); step++) assert(step < 10_000, "there is always more to do");
}
