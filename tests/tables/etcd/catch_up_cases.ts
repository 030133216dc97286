/**
 * A server that is behind and whose link is slow: it gets there, because it asks for less at a time.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { LossyEngine } from "./lossy_engine.ts";
import {
  contentsOf,
  type OpenTable,
  openTable,
  snapshotsOf,
  turn,
  turnsUntil,
} from "./open_table.ts";

/** More than the largest entry, and far less than what the server is behind. */
const ANSWER_BYTES_MAX = 150_000;

/** Writes entries of a size, many of them or few. */
async function write(table: OpenTable, entries: number, bytes: number): Promise<void> {
  for (let i = 0; i < entries; i++) {
    await turn(table, (replica) => void replica.put(`key-${i}`, "x".repeat(bytes)));
  }
}

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
  await write(busy, 200, 10);
  await write(busy, 30, 100_000);
  engine!.answerBytesMax = ANSWER_BYTES_MAX;
  assertEquals(await turn(slow, contentsOf), contentsOf(busy.replica));
  // The same where the first thing that it does is to change something.
  await write(busy, 31, 99_000);
  await turn(slow, (replica) => void replica.put("slow", "but there"));
  assertEquals(await turn(busy, contentsOf), contentsOf(slow.replica));
});

testWithProgram("etcd", "a server reads a snapshot over a slow link", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const prefix = "snapshot";
  await using busy = await openTable(cluster, { prefix });
  await write(busy, 60, 900);
  await turnsUntil(busy, () => snapshotsOf(busy) >= 2);
  await using slow = await openTable(cluster, {
    prefix,
    isPatient: true,
    wrap(cluster) {
      const engine = new LossyEngine(cluster);
      engine.answerBytesMax = 4_000; // Some of its parts.
      return engine;
    },
  });
  assertEquals(contentsOf(slow.replica), await turn(busy, contentsOf));
});
