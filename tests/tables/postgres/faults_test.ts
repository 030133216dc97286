/**
 * Faults under load: a server is killed, or stopped for a while; a standby is; the primary is killed and comes back,
 * or is killed or stopped and a standby is promoted. Every acknowledged write must be there, nothing that was answered
 * 500 may be, what got no reply must have taken place once or not at all, and nothing stale may be told: all that was
 * answered in each fault is what one table could have answered.
 *
 * `KEYLINE_POSTGRES_SECONDS` sets for how long each fault lasts, `KEYLINE_POSTGRES_SEED` which requests are made,
 * `KEYLINE_TEST_ROUNDS` how often all faults happen, by fives.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { numberFrom, ServerProcess } from "../../support/harness.ts";
import { PostgresCluster, testWithPostgres } from "../../support/postgres.ts";
import { readWhole, WholeLoad } from "../../support/whole_load.ts";
import { type TableEvent, type TableState, tableViolationOf } from "../../support/whole_table.ts";
import { randomFrom } from "../etcd/workload.ts";
import { delay } from "../../support/waiting.ts";

const SECONDS = numberFrom("KEYLINE_POSTGRES_SECONDS", 3);
const SEED = numberFrom("KEYLINE_POSTGRES_SEED", Date.now() % 1_000_000_000);
const ROUNDS = Math.ceil(numberFrom("KEYLINE_TEST_ROUNDS", 5) / 5);
const CLIENTS = 6;
/** How long the engine may take for a request, in seconds: short, so that the test is. */
const TIMEOUT_SECONDS = 1;
/** How long it may be until writes are answered 200 again, in milliseconds; the machine may be busy. */
const RECOVERY_MS = 40_000;
/** By when every request has its answer, or its connection has ended, in milliseconds; a stopped server has more. */
const ANSWER_MS = 6_000 + SECONDS * 1_000;

testWithPostgres("no fault of a server, a standby or the primary loses a write", async (t) => {
  await using cluster = await PostgresCluster.start({ standbys: 2 });
  const table = cluster.url("faults");
  const start = () =>
    ServerProcess.start({ table, args: ["--table-timeout", `${TIMEOUT_SECONDS}`] });
  const servers = [await start(), await start()];
  await using _stop = {
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
  const load = new WholeLoad({
    servers: () => servers,
    clients: CLIENTS,
    random: randomFrom(SEED),
  });
  let state: TableState = (await readWhole(servers[0]!)).state;
  console.log(`KEYLINE_POSTGRES_SEED=${SEED}`);

  /** Lets the load go on through a fault, checks it, and says how long writes stalled. */
  const during = (what: string, fault: () => unknown, mend: () => unknown) =>
    t.step(what, async () => {
      load.start();
      await delay(500);
      const brokenAt = performance.now();
      await fault();
      await delay(SECONDS * 1_000);
      await mend();
      const mendedAt = performance.now();
      await until(() => load.events.some((event) => isWrite(event) && event.repliedAt > mendedAt));
      await delay(500);
      const conversations = await load.stop();
      await quiet(cluster);
      const last = await readWhole(servers[0]!);
      const events = conversations.flat();
      console.log(`${what}: ${report(events, { brokenAt, mendedAt })}`);
      const slowest = Math.max(...events.map(({ calledAt, repliedAt }) => repliedAt - calledAt));
      assert(slowest < ANSWER_MS, `a request took ${Math.round(slowest)} ms`);
      const before = state;
      state = last.state;
      assertEquals(tableViolationOf([...conversations, last.conversation], before), undefined);
    });

  for (let round = 0; round < ROUNDS; round++) {
    await during("a server is killed", async () => {
      const [server] = servers.splice(0, 1);
      server!.signal("SIGKILL");
      await server!.status();
    }, async () => void servers.push(await start()));

    await during(
      "a server is stopped",
      () => servers[0]!.signal("SIGSTOP"),
      () => servers[0]!.signal("SIGCONT"),
    );

    const [standby, other] = cluster.standbys;
    await during("a standby is killed", () => standby!.kill(), () => standby!.start());

    await during("both standbys are stopped", () => {
      standby!.signal("SIGSTOP");
      other!.signal("SIGSTOP");
    }, () => {
      standby!.signal("SIGCONT");
      other!.signal("SIGCONT");
    });

    const { primary } = cluster;
    await during(
      "the primary is killed and comes back",
      () => primary.kill(),
      () => primary.start(),
    );

    await during("the primary is stopped", () => primary.signal("SIGSTOP"), () => {
      primary.signal("SIGCONT");
    });

    await during("the primary is killed and a standby promoted", async () => {
      await primary.kill();
      await cluster.promote();
    }, async () => {
      await primary.copy(cluster.primary);
      primary.start();
      await primary.ready();
    });

    const stopped = cluster.primary;
    await during(
      "the primary is stopped, a standby promoted, and the old one goes on",
      async () => {
        stopped.signal("SIGSTOP");
        await cluster.promote();
        // It takes itself for the primary still.
        stopped.signal("SIGCONT");
      },
      async () => {
        await stopped.kill();
        await stopped.copy(cluster.primary);
        stopped.start();
        await stopped.ready();
      },
    );
  }
});

/** Waits until no server has a transaction under way: what has got no reply is decided then. */
async function quiet({ primary }: PostgresCluster): Promise<void> {
  const query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'keyline%' " +
    "AND state <> 'idle'";
  const deadline = performance.now() + RECOVERY_MS;
  while ((await primary.sql(query)).stdout !== "0") {
    if (performance.now() > deadline) throw new Error("a transaction never ends");
    await delay(50);
  }
}

function report(
  events: readonly TableEvent[],
  { brokenAt, mendedAt }: { brokenAt: number; mendedAt: number },
): string {
  const since = events.filter(({ repliedAt }) => repliedAt >= brokenAt);
  let [last, stall] = [brokenAt, 0];
  for (const event of since.filter(isWrite).sort((a, b) => a.repliedAt - b.repliedAt)) {
    stall = Math.max(stall, event.repliedAt - last);
    last = event.repliedAt;
  }
  const count = (holds: (event: TableEvent) => boolean) => events.filter(holds).length;
  return `${events.length} requests, ${count(isWrite)} writes acknowledged, ` +
    `${count(({ reply }) => reply?.at(-1)?.startsWith("500") ?? false)} times 500, ` +
    `${count(({ reply }) => reply === undefined)} without a reply, ` +
    `writes stalled for ${Math.round(stall)} ms (mended after ${
      Math.round(mendedAt - brokenAt)
    } ms)`;
}

function isWrite({ request: [verb], reply }: TableEvent): boolean {
  return /^(PUT|ADD|INCR|CAS)$/.test(verb!) && (reply?.at(-1)?.startsWith("200") ?? false);
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error("writes don't go on");
    await delay(50);
  }
}
