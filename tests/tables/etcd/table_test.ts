/**
 * The table in etcd does what a Map does: random operations, through the same snapshots and transactions
 * that a turn makes.
 *
 * `KEYLINE_ETCD_RUNS` sets how many sequences are tried, `KEYLINE_FUZZ_SEED` repeats one.
 *
 * @module
 */

import { EtcdCluster } from "../../support/etcd.ts";
import { numberFrom, testWithProgram } from "../../support/harness.ts";
import { checkRandomOperations } from "../../support/random_operations.ts";
import { SyncEtcdTable } from "./sync_table.ts";

testWithProgram("etcd", "table in etcd: random operations do what they do to a Map", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const nodes = cluster.nodes.map(({ address }) => address);
  checkRandomOperations({
    name: "table in etcd",
    hasFolder: true,
    // Each setup has a folder of its own, whose name serves as its prefix.
    open: (folder, now) => new SyncEtcdTable({ nodes, prefix: `${folder.slice(1)}/`, now }),
  }, { numRuns: numberFrom("KEYLINE_ETCD_RUNS", 8) });
});
