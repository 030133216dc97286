/**
 * The table in etcd does what every other table does, and random operations do what they do to a Map.
 *
 * `KEYLINE_ETCD_RUNS` sets how many sequences are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { EtcdCluster } from "../../support/etcd.ts";
import { numberFrom, testWithProgram } from "../../support/harness.ts";
import { checkRandomOperations } from "../../support/random_operations.ts";
import { SyncTable, TableWorker } from "../../support/sync_table.ts";
import { collected, type Kind, TableSetup } from "../../support/table_model.ts";

const WORKER = new URL("sync_table_worker.ts", import.meta.url);

/** The files whose tests hold for every table. */
const SUITE = ["undo", "expiry", "values", "key_order"];
/** What does not hold here, and why. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ["a turn may be of any size", "its entry must fit into a request of etcd"],
  ["keys that fall into one bucket of a plain Map are stored as fast as others", "the same"],
  ["expired keys are removed in steps, and do not come back", "the log may still have them"],
]);

function tableIn(cluster: EtcdCluster, worker: TableWorker): Kind {
  const nodes = cluster.nodes.map(({ address }) => address);
  return {
    name: "table in etcd",
    hasFolder: true,
    // Each setup has a folder of its own, whose name serves as its prefix.
    open: (folder, now) =>
      new SyncTable(worker, { where: { nodes, prefix: `${folder.slice(1)}/` }, now }),
  };
}

testWithProgram("etcd", "table in etcd: what holds for every table", async (t) => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
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

testWithProgram("etcd", "table in etcd: random operations do what they do to a Map", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const numRuns = numberFrom("KEYLINE_ETCD_RUNS", 8);
  using worker = new TableWorker(WORKER);
  checkRandomOperations(tableIn(cluster, worker), { numRuns });
});
