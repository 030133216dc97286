/**
 * Servers that die after any number of calls, at whatever they were doing: what they have acknowledged is
 * there, what they have not is there once or not at all, and the next server goes on.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { numberFrom, testWithProgram } from "../../support/harness.ts";
import { contentsOf, openTable, snapshotsOf, turn, turnsUntil } from "./open_table.ts";
import { randomFrom } from "./workload.ts";

const SEED = numberFrom("KEYLINE_ETCD_SEED", Date.now() % 1_000_000_000);
const DEATHS = 8 * numberFrom("KEYLINE_TEST_ROUNDS", 5);
/** More calls than it takes to write a snapshot, and to remove what went before. */
const CALLS_MAX = 160;

testWithProgram("etcd", "a server that dies at any call loses nothing for others", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  console.log(`KEYLINE_ETCD_SEED=${SEED}`);
  const random = randomFrom(SEED);
  const prefix = "deaths";
  const expected = new Map<string, string>();
  await using witness = await openTable(cluster, { prefix, isPatient: true });
  let attempts = 0;
  for (let death = 0; death < DEATHS; death++) {
    let calls = 1 + Math.floor(random() * CALLS_MAX);
    const before = () => {
      if (--calls < 0) throw new Error("dead");
    };
    const dying = await openTable(cluster, { prefix, before }).catch(() => undefined);
    let [key, value] = ["", ""];
    try {
      for (;;) {
        key = `key-${Math.floor(random() * 40)}`;
        value = `${++attempts} ${"x".repeat(Math.floor(random() * 200))}`;
        if (dying === undefined) break;
        await turn(dying, (replica) => void replica.put(key, value));
        expected.set(key, value);
      }
    } catch (error) {
      assertEquals((error as Error).message, "dead");
    }
    await dying?.close();
    const contents = await turn(witness, contentsOf);
    const found = new Map(contents.map(([key, value]) => [key, value]));
    // What got no answer may have taken place.
    if (found.get(key) === value) expected.set(key, value);
    assertEquals(found, new Map([...expected].sort()));
    await using reader = await openTable(cluster, { prefix, isPatient: true });
    assertEquals(contentsOf(reader.replica), contents);
  }
  assert(attempts > DEATHS);
  await using next = await openTable(cluster, { prefix });
  await turnsUntil(next, () => snapshotsOf(next) === 2);
});
