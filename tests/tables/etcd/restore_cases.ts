/**
 * etcd is restored from a backup while a server lives: what the server knows of the log is no longer true,
 * though numbers and revisions are the same again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { eventually } from "../../admin/admin_server.ts";
import {
  contentsOf,
  isChunk,
  isCurrent,
  isRemoval,
  openTable,
  turn,
  turnsUntil,
} from "./open_table.ts";

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

/** The table of the test below: so many parts of one key each. */
const [KEYS, PARTS] = [6, 7]; // The other one has what `turnsUntil` puts.

testWithProgram("etcd", "a snapshot that lost its middle to a restore never counts", async (t) => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  for (const isAtLastPart of [true, false]) {
    const name = isAtLastPart ? "before its last part" : "after its last part";
    await t.step(name, async () => {
      const prefix = name.replaceAll(" ", "-");
      const [backedUp, restored] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let [parts, isHeld, isOver] = [0, false, false];
      await using table = await openTable(cluster, {
        prefix,
        before(txn) {
          if (isRemoval(txn)) isOver = true; // Of what was needless, or of a snapshot that came to nothing.
          if (isChunk(txn) && ++parts === 3) return backedUp.promise;
          if (isAtLastPart ? !isChunk(txn) || parts < PARTS : !isCurrent(txn)) return;
          isHeld = true;
          return restored.promise;
        },
      });
      await turn(table, (replica) => {
        for (let i = 0; i < KEYS; i++) replica.put(`key-${i}`, "x".repeat(1_100));
      });
      await turnsUntil(table, () => parts === 3);
      const backup = await cluster.backUp();
      backedUp.resolve();
      await turnsUntil(table, () => parts === PARTS);
      await eventually(() => isHeld || undefined);
      await cluster.restore(backup);
      restored.resolve();
      await eventually(() => isOver || undefined);
      await using reader = await openTable(cluster, { prefix, isPatient: true });
      assertEquals(contentsOf(reader.replica), await turn(table, contentsOf));
    });
  }
});
