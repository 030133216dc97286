/**
 * etcd is restored from a backup while a server lives: what the server knows of the log is no longer true,
 * though numbers and revisions are the same again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { contentsOf, openTable, turn } from "./open_table.ts";

testWithProgram("etcd", "a server outlives that its engine is restored from a backup", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const prefix = "restored";
  await using old = await openTable(cluster, { prefix, isPatient: true });
  await turn(old, (replica) => void replica.put("key", "backed up"));
  const backup = await cluster.backUp();
  for (const value of ["lost", "lost again"]) {
    await turn(old, (replica) => void replica.put("key", value));
  }
  await cluster.restore(backup);
  await using next = await openTable(cluster, { prefix, isPatient: true });
  // As many entries as were lost, so that the last one has the same number and the same revision.
  await turn(next, (replica) => void replica.put("key", "new"));
  await turn(next, (replica) => void replica.put("other", "new"));
  const contents = await turn(next, contentsOf);
  assertEquals(await turn(old, contentsOf), contents);
  const version = await turn(old, (replica) => replica.put("key", "of the old one"));
  assert(version > next.replica.version, "no version is given twice");
  assertEquals(await turn(next, contentsOf), contentsOf(old.replica));
});
