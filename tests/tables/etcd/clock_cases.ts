/**
 * A server whose clock is wrong: it may find keys gone early, and others may not.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { testWithProgram } from "../../support/harness.ts";
import { contentsOf, openTable, snapshotsOf, turn, turnsUntil } from "./open_table.ts";

const AHEAD_MS = 180_000;
const EXPIRY_MS = 100_000;

testWithProgram("etcd", "a server whose clock is ahead removes keys for nobody else", async (t) => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const now = () => 1_800_000_000_000;
  const later = () => now() + AHEAD_MS;
  const kept = ["filler", "key"];

  await t.step("by a snapshot, when the others have written", async () => {
    const prefix = "written";
    await using right = await openTable(cluster, { prefix, now, isPatient: true });
    await using ahead = await openTable(cluster, { prefix, now: later });
    await turn(ahead, () => {}); // As it does every second.
    await turn(
      right,
      (replica) => void replica.put("key", "value", { expiresAt: now() + EXPIRY_MS }),
    );
    assertEquals(await turn(ahead, contentsOf), [], "by its own clock, the key is gone");
    while (ahead.maintain());
    await turnsUntil(ahead, () => snapshotsOf(ahead) >= 2);
    await using reader = await openTable(cluster, { prefix, now, isPatient: true });
    assertEquals(contentsOf(reader.replica).map(([key]) => key), kept);
  });

  await t.step("by a snapshot, when it has just been started", async () => {
    const prefix = "started";
    {
      await using right = await openTable(cluster, { prefix, now, isPatient: true });
      const expiresAt = now() + EXPIRY_MS;
      await turn(right, (replica) => void replica.put("key", "value", { expiresAt }));
    }
    await using ahead = await openTable(cluster, { prefix, now: later });
    while (ahead.maintain());
    await turnsUntil(ahead, () => snapshotsOf(ahead) >= 2);
    await using reader = await openTable(cluster, { prefix, now, isPatient: true });
    assertEquals(contentsOf(reader.replica).map(([key]) => key), kept);
  });
});
