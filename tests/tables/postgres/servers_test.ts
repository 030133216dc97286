/**
 * Several servers are one table: what many clients of two and of three servers get, of all keys at once, is what one
 * table could have answered.
 *
 * `KEYLINE_POSTGRES_SECONDS` sets for how long each is tried, `KEYLINE_POSTGRES_SEED` which requests are made.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { numberFrom, ServerProcess } from "../../support/harness.ts";
import { PostgresCluster, testWithPostgres } from "../../support/postgres.ts";
import { readWhole, WholeLoad } from "../../support/whole_load.ts";
import { tableViolationOf } from "../../support/whole_table.ts";
import { randomFrom } from "../etcd/workload.ts";

const SECONDS = numberFrom("KEYLINE_POSTGRES_SECONDS", 3);
const SEED = numberFrom("KEYLINE_POSTGRES_SEED", Date.now() % 1_000_000_000);
const CLIENTS = 6;
/** After this time a history is checked, so that no search is long, in milliseconds. */
const ROUND_MS = 1_000;

testWithPostgres("two and three servers over PostgreSQL answer as one table", async () => {
  await using cluster = await PostgresCluster.start();
  for (const count of [2, 3]) {
    const table = cluster.url(`servers_${count}`);
    await using servers = new AsyncDisposableStack();
    const all = await Promise.all(
      Array.from({ length: count }, async () => servers.use(await ServerProcess.start({ table }))),
    );
    const load = new WholeLoad({
      servers: () => all,
      clients: CLIENTS,
      random: randomFrom(SEED + count),
    });
    let [state, requests, failures] = [(await readWhole(all[0]!)).state, 0, 0];
    for (let round = 0; round < SECONDS * 1_000 / ROUND_MS; round++) {
      load.start();
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
      const conversations = await load.stop();
      const last = await readWhole(all[round % count]!);
      const events = conversations.flat();
      requests += events.length;
      failures += events.filter(({ reply }) => reply?.at(-1)?.startsWith("500")).length;
      assertEquals(events.filter(({ reply }) => reply === undefined), []);
      assertEquals(tableViolationOf([...conversations, last.conversation], state), undefined);
      state = last.state;
    }
    console.log(
      `${count} servers: ${requests} requests, ${failures} times 500, KEYLINE_POSTGRES_SEED=${SEED}`,
    );
    assert(requests > 20 * SECONDS, "hardly anything was answered");
    assertEquals(failures, 0);
  }
});

testWithPostgres("a server that writes all the time starves no other", async () => {
  await using cluster = await PostgresCluster.start();
  const table = cluster.url("starved");
  await using busy = await ServerProcess.start({ table });
  await using quiet = await ServerProcess.start({ table });
  using client = await quiet.connect();
  assertEquals(await client.ask("PUT hot 0"), "200 OK");
  const replies = new Set<string | undefined>();
  let [isOver, sum] = [false, 0];
  const writers = Array.from({ length: 4 }, async () => {
    using client = await busy.connect();
    while (!isOver && !replies.has(undefined)) {
      await client.send("INCR hot\n".repeat(20)).catch(() => {});
      for (let i = 0; i < 20; i++, sum++) replies.add((await client.line())?.slice(0, 6));
    }
  });
  // The same key, so that each of these comes too late where the other server is faster.
  for (let i = 0; i < 50; i++) {
    assertEquals((await client.ask("INCR hot"))?.slice(0, 6), "200 OK");
  }
  isOver = true;
  await Promise.all(writers);
  assertEquals([...replies], ["200 OK"]);
  assertEquals(await client.ask("GET hot"), `200 OK ${sum + 50}`);
});
