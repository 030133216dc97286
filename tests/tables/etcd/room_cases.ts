/**
 * How much room a table takes in etcd: that of its snapshot and its log, however much is written.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { openTable, turn } from "./open_table.ts";

const QUOTA_BYTES = 33_554_432;
const LIMITS = { logBytesMin: 1_000_000, chunkBytes: 200_000 };
const [KEYS, VALUE_BYTES] = [5, 200_000];

testWithProgram("etcd", "a small table that is overwritten for long fills no engine", async () => {
  const args = ["--quota-backend-bytes", `${QUOTA_BYTES}`];
  await using cluster = await EtcdCluster.start({ nodes: 1, args });
  await using table = await openTable(cluster, { prefix: "overwritten", limits: LIMITS });
  for (let written = 0, i = 0; written < 3 * QUOTA_BYTES; written += VALUE_BYTES, i++) {
    await turn(table, (replica) => void replica.put(`key-${i % KEYS}`, "x".repeat(VALUE_BYTES)));
  }
  assertEquals((await cluster.ctl(["alarm", "list"])).stdout, "");
});
