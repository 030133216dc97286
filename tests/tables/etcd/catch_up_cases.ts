/**
 * A server that is behind and whose link is slow: it gets there, because it asks for less at a time.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { LossyEngine } from "./lossy_engine.ts";
import { contentsOf, openTable, turn } from "./open_table.ts";

/** More than the largest entry, and far less than what the server is behind. */
const ANSWER_BYTES_MAX = 150_000;

testWithProgram("etcd", "a server that is behind catches up over a slow link", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const prefix = "slow";
  let engine: LossyEngine | undefined;
  await using slow = await openTable(cluster, {
    prefix,
    isPatient: true,
    wrap: (cluster) => engine = new LossyEngine(cluster),
  });
  await using busy = await openTable(cluster, { prefix, isPatient: true });
  // Pages grow while entries are small, and then these are large.
  for (const [entries, bytes] of [[200, 10], [30, 100_000]] as const) {
    for (let i = 0; i < entries; i++) {
      await turn(busy, (replica) => void replica.put(`key-${i}`, "x".repeat(bytes)));
    }
  }
  engine!.answerBytesMax = ANSWER_BYTES_MAX;
  assertEquals(await turn(slow, contentsOf), contentsOf(busy.replica));
});
