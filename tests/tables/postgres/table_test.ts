/**
 * The table in PostgreSQL does what every other table does, and random operations do what they do to a Map.
 *
 * `KEYLINE_POSTGRES_RUNS` sets how many sequences are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { numberFrom } from "../../support/harness.ts";
import { PostgresCluster, testWithPostgres } from "../../support/postgres.ts";
import { checkRandomOperations } from "../../support/random_operations.ts";
import { SyncTable, TableWorker } from "../../support/sync_table.ts";
import { collected, type Kind, TableSetup } from "../../support/table_model.ts";

const WORKER = new URL("sync_table_worker.ts", import.meta.url);
/** The files whose tests hold for every table. */
const SUITE = ["undo", "expiry", "values", "key_order"];
/** What does not hold here, and why. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ["keys that fall into one bucket of a plain Map are stored as fast as others", "a call for each"],
]);

function tableIn(cluster: PostgresCluster, worker: TableWorker): Kind {
  return {
    name: "table in PostgreSQL",
    hasFolder: true,
    // Each setup has a folder of its own, whose name serves as its table's.
    open: (folder, now) => {
      const name = folder.replaceAll(/[^a-z0-9]/gi, "_").toLowerCase();
      return new SyncTable(worker, { where: cluster.url(name), now });
    },
  };
}

testWithPostgres("table in PostgreSQL: what holds for every table", async (t) => {
  await using cluster = await PostgresCluster.start();
  using worker = new TableWorker(WORKER);
  const kind = tableIn(cluster, worker);
  collected.isOpen = true;
  for (const name of SUITE) await import(`../${name}_test.ts`);
  collected.isOpen = false;
  for (const { name, fn } of collected.tests) {
    const run = () => {
      using setup = new TableSetup(kind);
      fn(setup);
    };
    await t.step({ name, fn: run, ignore: EXCEPTIONS.has(name) });
  }
});

testWithPostgres("table in PostgreSQL: random operations do what they do to a Map", async () => {
  await using cluster = await PostgresCluster.start();
  const numRuns = numberFrom("KEYLINE_POSTGRES_RUNS", 4);
  using worker = new TableWorker(WORKER);
  checkRandomOperations(tableIn(cluster, worker), { numRuns });
});
