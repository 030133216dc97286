/**
 * Several servers are one table: what many clients of two and of three servers get on a few hot keys is
 * what one table could have answered.
 *
 * `KEYLINE_ETCD_SECONDS` sets for how long each is tried, `KEYLINE_ETCD_SEED` which requests are made.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
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

testWithProgram("etcd", "a server that writes all the time starves no other", async () => {
  await using cluster = await EtcdCluster.start();
  const table = cluster.url("starved");
  await using busy = await ServerProcess.start({ table });
  await using quiet = await ServerProcess.start({ table });
  using client = await quiet.connect();
  assertEquals(await client.ask("PUT hot 0"), "200 OK");
  const replies = new Set<string | undefined>();
  let isOver = false;
  const writers = Array.from({ length: 4 }, async () => {
    using client = await busy.connect();
    while (!isOver && !replies.has(undefined)) {
      await client.send("INCR hot\n".repeat(20)).catch(() => {});
      for (let i = 0; i < 20; i++) replies.add((await client.line())?.slice(0, 6));
    }
  });
  const calls = async () => {
    await client.send("STATS\n");
    const line = (await client.reply()).find((line) => line.startsWith("200-engine_calls "));
    return Number(line!.split(" ")[1]);
  };
  let last = 0;
  const before = await calls();
  for (let i = 0; i < 50; i++) {
    const now = Number((await client.ask("GET hot"))?.slice(7));
    assert(now >= last, `${now} after ${last}`);
    last = now;
  }
  assert(last > 0);
  // One call a read, however much others write; some more follow the log or catch up with it.
  assert(await calls() - before < 100, `${await calls() - before} calls for 50 reads`);
  for (let i = 0; i < 50; i++) assertEquals(await client.ask("INCR cold"), `200 OK ${i + 1}`);
  isOver = true;
  await Promise.all(writers);
  assertEquals([...replies], ["200 OK"]);
});

testWithProgram("etcd", "a key expires on every server, and every server can keep it", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const table = cluster.url("expiry");
  await using first = await ServerProcess.start({ table });
  await using second = await ServerProcess.start({ table });
  using a = await first.connect();
  using b = await second.connect();
  for (const key of ["goes", "stays"]) {
    assertEquals(await a.ask(`PUT ${key} value`), "200 OK");
    assertEquals(await a.ask(`EXPIRE ${key} 1`), "200 OK");
  }
  assertEquals(await b.ask("PERSIST stays"), "200 OK");
  assertMatch(await b.ask("TTL goes") ?? "", /^200 OK [01]/);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  for (const client of [a, b]) {
    assertEquals(await client.ask("GET goes"), "404 NOT FOUND");
    assertEquals(await client.ask("GET stays"), "200 OK value");
    assertEquals(await client.ask("COUNT"), "200 OK 1");
  }
});
