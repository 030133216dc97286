/**
 * What `/readyz` says of a server that can't commit.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { isReady } from "../../admin/health.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { contextWith } from "../support/context.ts";

Deno.test("a commit that failed is past: whether the next one can succeed, the table knows", () => {
  const context = contextWith({});
  assertEquals(isReady(context).status, 200);
  context.metrics.countFailedCommit(new Error("the disk failed"));
  assertEquals(isReady(context).status, 200);
});

Deno.test("a server whose table takes no changes is not ready", () => {
  class FullTable extends MemoryTable {
    override stats(): Record<string, number> {
      return { ...super.stats(), writable: 0 };
    }
  }
  assertEquals(isReady(contextWith({}, { table: new FullTable() })).status, 503);
});

Deno.test("a server that shuts down is not ready", () => {
  const context = contextWith({});
  context.metrics.isDraining = true;
  assertEquals(isReady(context).status, 503);
});
