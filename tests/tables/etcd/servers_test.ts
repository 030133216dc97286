/**
 * Several servers are one table: what many clients of two and of three servers get on a few hot keys is
 * what one table could have answered.
 *
 * `KEYLINE_ETCD_SECONDS` sets for how long each is tried, `KEYLINE_ETCD_SEED` which requests are made.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EtcdCluster } from "../../support/etcd.ts";
import { numberFrom, ServerProcess, testWithProgram } from "../../support/harness.ts";
import { repeatedVersions, violationsOf } from "./history.ts";
import { randomFrom, Workload } from "./workload.ts";

const SECONDS = numberFrom("KEYLINE_ETCD_SECONDS", 3);
const SEED = numberFrom("KEYLINE_ETCD_SEED", Date.now() % 1_000_000_000);
const CLIENTS_A_SERVER = 4;
/** After this time the keys change, so that no search is long, in milliseconds. */
const ROUND_MS = 1_000;

testWithProgram("etcd", "two and three servers answer as one table", async () => {
  await using cluster = await EtcdCluster.start();
  for (const count of [2, 3]) {
    const table = cluster.url(`servers-${count}`);
    await using servers = new AsyncDisposableStack();
    const all = await Promise.all(
      Array.from({ length: count }, async () => servers.use(await ServerProcess.start({ table }))),
    );
    const workload = new Workload({
      servers: () => all,
      clients: CLIENTS_A_SERVER * count,
      random: randomFrom(SEED + count),
      prefix: "r0",
    });
    const rounds = Math.ceil(SECONDS * 1_000 / ROUND_MS);
    for (let round = 1; round <= rounds; round++) {
      workload.prefix = `r${round}`;
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    }
    const history = await workload.stop();
    const writes = history.filter(({ request: [verb] }) => !verb.startsWith("GET")).length;
    const retries = history.filter(({ reply }) => reply?.startsWith("500")).length;
    console.log(
      `${count} servers: ${history.length} requests, ${writes} of them writes, ${retries} times 500, ` +
        `KEYLINE_ETCD_SEED=${SEED}`,
    );
    assert(history.length > 20 * SECONDS, "hardly anything was answered");
    assertEquals(history.filter(({ reply }) => reply === undefined), []);
    assertEquals(violationsOf(history), []);
    assertEquals(repeatedVersions(history), []);
  }
});
