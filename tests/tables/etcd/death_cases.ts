/**
 * Servers that die after any number of calls, at whatever they were doing, and that get in each other's way:
 * what they have acknowledged is there, what they have not is there once or not at all, and the next server
 * goes on.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { numberFrom, testWithProgram } from "../../support/harness.ts";
import {
  contentsOf,
  holdChunk,
  isChunk,
  isRemoval,
  openTable,
  snapshotsOf,
  turn,
  turnsUntil,
} from "./open_table.ts";
import { randomFrom } from "./workload.ts";

const SEED = numberFrom("KEYLINE_ETCD_SEED", Date.now() % 1_000_000_000);
const DEATHS = 8 * numberFrom("KEYLINE_TEST_ROUNDS", 5);
/** More calls than it takes to write a snapshot, and to remove what went before. */
const CALLS_MAX = 160;

testWithProgram("etcd", "a snapshot has nothing of a turn that comes to nothing", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const prefix = "undone";
  const held = holdChunk(1);
  await using table = await openTable(cluster, {
    prefix,
    before: held.before,
  });
  await turn(table, (replica) => {
    for (let i = 0; i < 60; i++) replica.put(`key-${i}`, "x".repeat(100));
  });
  await turnsUntil(table, held.isHeld);
  await table.begin(Date.now() + 5_000);
  for (let i = 0; i < 60; i++) table.replica.put(`key-${i}`, "never");
  held.release();
  await new Promise((resolve) => setTimeout(resolve, 200)); // Long enough for the first part's answer.
  table.end();
  await turnsUntil(table, () => snapshotsOf(table) === 1);
  await using reader = await openTable(cluster, { prefix, isPatient: true });
  assertEquals(contentsOf(reader.replica), await turn(table, contentsOf));
  assertEquals(String(reader.replica.get("key-7")), "x".repeat(100));
});

testWithProgram("etcd", "a snapshot that lost its first part never counts", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const prefix = "parts";
  const [tidying, writing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isTidying = false;
  await using first = await openTable(cluster, {
    prefix,
    before(txn) {
      if (!isRemoval(txn)) return;
      isTidying = true;
      return tidying.promise;
    },
  });
  await turn(first, (replica) => {
    for (let i = 0; i < 60; i++) replica.put(`key-${i}`, "x".repeat(100));
  });
  await turnsUntil(first, () => isTidying);
  // The other one begins when the first one's snapshot counts, and before it has removed all others.
  let chunks = 0;
  await using second = await openTable(cluster, {
    prefix,
    before: (txn) => isChunk(txn) && ++chunks === 3 ? writing.promise : undefined,
  });
  await turnsUntil(second, () => chunks === 3);
  tidying.resolve();
  await turnsUntil(first, () => snapshotsOf(first) === 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  writing.resolve();
  for (let i = 0; i < 20; i++) {
    await turn(second, (replica) => void replica.put("key", `${i}`));
    await using reader = await openTable(cluster, { prefix, isPatient: true });
    assertEquals(contentsOf(reader.replica), await turn(second, contentsOf));
  }
});

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
