/**
 * Background work: what fails there is logged, and ends the server only where the table can't go on.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Maintenance } from "../../server/maintenance.ts";
import { TableError } from "../../tables/table.ts";
import { logOf } from "../support/memory_server.ts";

/** A table whose steps return and throw these, one after the other. */
function tableWith(steps: (boolean | Error)[]) {
  let done = 0;
  const maintain = () => {
    const step = steps[done++]!;
    if (step instanceof Error) throw step;
    return step;
  };
  return {
    maintain,
    get done() {
      return done;
    },
  };
}

Deno.test("a step that fails ends nothing, and is logged once", async () => {
  const [mistake, full] = [new TypeError("a mistake of ours"), new TableError("memory full")];
  const table = tableWith([true, mistake, mistake, full, false, full, true]);
  const ends: unknown[] = [];
  const maintenance = new Maintenance(table, (error) => ends.push(error));
  const more: boolean[] = [];
  const log = await logOf(() => {
    for (let i = 0; i < 7; i++) more.push(maintenance.step());
  });
  assertEquals(more, [true, false, false, false, false, false, true]);
  assertEquals(ends, []);
  assertEquals(log.length, 2);
  assertMatch(log[0]!, /error Cannot maintain the table: TypeError: a mistake of ours/);
  assertMatch(log[1]!, /error Cannot maintain the table: Error: memory full/);
});

Deno.test("where the table can't go on the server ends, and nothing more is tried", async () => {
  const broken = new TableError("the disk failed", { fatal: true });
  const table = tableWith([true, broken]);
  const ends: unknown[] = [];
  const maintenance = new Maintenance(table, (error) => ends.push(error));
  const log = await logOf(() => {
    maintenance.step();
    maintenance.run(); // It sets no timer, which the sanitizer would find.
    assertEquals(maintenance.step(), false);
  });
  assertEquals([ends, log.length, table.done, maintenance.isOver], [[broken], 1, 2, true]);
});
