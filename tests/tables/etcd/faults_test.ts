/**
 * Faults under load: a server is killed, a follower, the leader, the leader is stopped, two nodes are gone
 * and come back. Every acknowledged write must be there, nothing that was answered 500 may be, and what
 * got no reply must have taken place once or not at all: the history of each fault is linearizable.
 *
 * `KEYLINE_ETCD_SECONDS` sets for how long each fault lasts, `KEYLINE_ETCD_SEED` which requests are made.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { AdminServer, eventually } from "../../admin/admin_server.ts";
import { EtcdCluster, type EtcdNode } from "../../support/etcd.ts";
import { Client } from "../../support/client.ts";
import { eventOf, numberFrom, ServerProcess, testWithProgram } from "../../support/harness.ts";
import { type Event, repeatedVersions, violationsOf } from "./history.ts";
import { randomFrom, Workload } from "./workload.ts";
import { delay } from "../../support/waiting.ts";

const SECONDS = numberFrom("KEYLINE_ETCD_SECONDS", 3);
const SEED = numberFrom("KEYLINE_ETCD_SEED", Date.now() % 1_000_000_000);
const CLIENTS = 8;
const MIB = 1_048_576;
/** How long the engine may take for a request, in seconds: short, so that the test is. */
const TIMEOUT_SECONDS = 2;
/** How long it may be until writes are answered 200 again, in milliseconds; the machine may be busy. */
const RECOVERY_MS = 20_000;
/** By when every request has its answer, or its connection has ended, in milliseconds. */
const ANSWER_MS = 3 * TIMEOUT_SECONDS * 1_000;

testWithProgram(
  "etcd",
  "no fault of a server or of nodes loses a write or doubles one",
  async () => {
    await using cluster = await EtcdCluster.start();
    const table = cluster.url("faults");
    const start = () =>
      ServerProcess.start({ table, args: ["--table-timeout", `${TIMEOUT_SECONDS}`] });
    const servers = [await start(), await start()];
    const random = randomFrom(SEED);
    const workload = new Workload({ servers: () => servers, clients: CLIENTS, random, prefix: "" });
    console.log(`KEYLINE_ETCD_SEED=${SEED}`);

    /** Lets the load go on through a fault, and says how long writes stalled. */
    const during = async (what: string, fault: () => Promise<void>, mend: () => Promise<void>) => {
      workload.prefix = `${what.replaceAll(" ", "-")}-`;
      await delay(500);
      const brokenAt = performance.now();
      await fault();
      await delay(SECONDS * 1_000);
      await mend();
      const mendedAt = performance.now();
      await until(() => lastWrite(workload.history) > mendedAt);
      await delay(500);
      console.log(`${what}: ${report(workload.history, { brokenAt, mendedAt })}`);
    };

    try {
      await during("a server is killed", async () => {
        const [server] = servers.splice(0, 1);
        server!.signal("SIGKILL");
        await server!.status();
      }, async () => void servers.push(await start()));

      let [leader, follower] = await cluster.byRank();
      await during("a follower is killed", () => follower!.kill(), () => restart(follower!));
      [leader] = await cluster.byRank();
      await during("the leader is killed", () => leader!.kill(), () => restart(leader!));
      [leader] = await cluster.byRank();
      await during(
        "the leader is stopped",
        () => Promise.resolve(leader!.signal("SIGSTOP")),
        () => Promise.resolve(leader!.signal("SIGCONT")),
      );
      const lost = (await cluster.byRank()).slice(0, 2);
      await during("two nodes are killed", async () => {
        await Promise.all(lost.map((node) => node.kill()));
      }, async () => {
        await checkWithoutMajority(servers);
        await Promise.all(lost.map(restart));
      });
      const history = await workload.stop();
      await addLastReads(history, servers[0]!);
      const slowest = Math.max(...history.map(({ calledAt, repliedAt }) => repliedAt - calledAt));
      assert(slowest < ANSWER_MS, `a request took ${Math.round(slowest)} ms`);
      assertEquals(violationsOf(history), []);
      assertEquals(repeatedVersions(history), []);
    } finally {
      await workload.stop();
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    }
  },
);

/** Fills an engine as another program does that overwrites a key of its own. */
async function fill({ address }: EtcdNode): Promise<void> {
  const body = JSON.stringify({ key: btoa("filler"), value: btoa("x".repeat(MIB)) });
  for (let count = 0;; count++) {
    const reply = await fetch(`http://${address}/v3/kv/put`, { method: "POST", body });
    if ((await reply.text()).includes("database space exceeded")) return;
    assert(count < 1_000, "it is never full");
  }
}

/** Without a majority nothing is acknowledged and nothing stale is told, but each request is answered. */
async function checkWithoutMajority(servers: readonly ServerProcess[]): Promise<void> {
  // Past what the old majority may still have decided.
  await delay(1_000);
  await Promise.all(["GET a", "PUT a 1", "COUNT", "KEYS", "CLEAR"].map(async (request) => {
    using client = await servers[0]!.connect();
    const calledAt = performance.now();
    const reply = await client.ask(request);
    const ms = performance.now() - calledAt;
    assert(reply === undefined || reply.startsWith("500 ERROR"), `${request}: ${reply}`);
    if (!/^(PUT|CLEAR)/.test(request)) assert(reply !== undefined, `${request} got no reply`);
    assert(ms < ANSWER_MS, `${request} took ${Math.round(ms)} ms`);
  }));
  using other = await servers[0]!.connect();
  assertEquals(await other.ask("HELP get"), "200 OK");
}

testWithProgram("etcd", "a full engine takes no changes, is read, and goes on", async () => {
  const args = ["--quota-backend-bytes", `${24 * MIB}`];
  await using cluster = await EtcdCluster.start({ nodes: 1, args });
  await using server = await ServerProcess.start({ table: cluster.url("full") });
  using client = await server.connect();
  using other = await server.connect();
  const value = "x".repeat(MIB / 2);
  assertEquals(await client.ask(`PUT key-0 ${value}`), "200 OK");
  await fill(cluster.nodes[0]!);
  const full = "500 ERROR the table's engine is full";
  assertEquals(await client.ask("PUT key-0 small"), full);
  // In the turn of a change as well.
  const [put, get] = await Promise.all([client.ask("PUT key-0 small"), other.ask("GET key-0")]);
  assertEquals([put, get], [full, `200 OK ${value}`]);
  await until(() => server.output.includes("The table's engine is full"));
  const { stdout } = await cluster.ctl(["get", "none", "-w", "json"]);
  await cluster.ctl(["compact", `${JSON.parse(stdout).header.revision}`]);
  await cluster.ctl(["defrag"]);
  await cluster.ctl(["alarm", "disarm"]);
  await until(() => server.output.includes("The table's engine takes changes again"));
  assertEquals(await client.ask("PUT key-0 small"), "200 OK");
  assertEquals(await client.ask("GET key-0"), "200 OK small");
});

testWithProgram(
  "etcd",
  "an engine that is lost is told of once, and so is that it is back",
  async () => {
    await using cluster = await EtcdCluster.start({ nodes: 1 });
    const [node] = cluster.nodes;
    const args = ["--table-timeout", "1"];
    await using server = await AdminServer.start({ table: cluster.url("lost"), args });
    const { process } = server;
    using client = await process.connect();
    assertEquals(await client.ask("PUT a 1"), "200 OK");
    const isReady = async () => (await server.get("readyz")).status === 200;
    const before = process.log.length;
    await node!.kill();
    const lost = "500 ERROR the table's engine is not reached, or has no majority";
    // First one that changes nothing: a change that is under way gets no reply.
    for (const line of ["GET a", "PUT a 2", "GET a", "PUT a 3"]) {
      assertEquals(await client.ask(line), lost);
      assertEquals(await isReady(), false);
    }
    assertMatch((await server.get("metrics")).body, /^keyline_engine_reached 0$/m);
    // Long enough for what looks once a second.
    await delay(2_500);
    node!.start();
    // Nobody writes anything.
    await eventually(async () => await isReady() || undefined);
    assertEquals(await client.ask("GET a"), "200 OK 1");
    assertMatch((await server.get("metrics")).body, /^keyline_engine_reached 1$/m);
    const told = process.log.slice(before).map((line) => eventOf(line).replace(/ why=.*/, ""))
      .filter((event) => event.includes("engine")); // A busy machine has slow commits, too.
    assertEquals(told, [
      "error The table's engine is lost: requests are answered 500 until it is back",
      "info  The table's engine is reached again",
    ]);
  },
);

testWithProgram("etcd", "one node that says nothing is no outage", async () => {
  await using cluster = await EtcdCluster.start();
  const followers = (await cluster.byRank()).slice(1);
  const table = `etcd://${followers.map(({ address }) => address).join(",")}/silent`;
  await using server = await ServerProcess.start({ table, args: ["--table-timeout", "2"] });
  using client = await server.connect();
  for (const follower of followers) {
    follower.signal("SIGSTOP");
    await delay(3_000); // Nobody asks for anything: the server looks at the log by itself.
    assertEquals(await client.ask("INCR count"), `200 OK ${followers.indexOf(follower) + 1}`);
    follower.signal("SIGCONT");
  }
  assert(!server.output.includes("is lost"), server.output);
});

testWithProgram(
  "etcd",
  "a server that is not let in any more is not ready until it is",
  async () => {
    await using cluster = await EtcdCluster.start({ nodes: 1 });
    await using server = await AdminServer.start({ table: cluster.url("denied") });
    const { process } = server;
    using client = await process.connect();
    assertEquals(await client.ask("PUT a 1"), "200 OK");
    const isReady = async () => (await server.get("readyz")).status === 200;
    const before = process.log.length;
    await cluster.ctl(["user", "add", "root:word"]);
    await cluster.ctl(["user", "grant-role", "root", "root"]);
    await cluster.ctl(["auth", "enable"]);
    await eventually(async () => !await isReady() || undefined);
    assertMatch(await client.ask("GET a") ?? "", /^500 ERROR the table's engine/);
    await cluster.ctl(["auth", "disable"], { flags: ["--user", "root:word"] });
    await eventually(async () => await isReady() || undefined);
    assertEquals(await client.ask("GET a"), "200 OK 1");
    const told = process.log.slice(before).map((line) => eventOf(line).replace(/: .*/, ""))
      .filter((event) => event.includes("engine"));
    assertEquals(told, [
      "error The table's engine is lost",
      "info  The table's engine is reached again",
    ]);
  },
);

/** Reads what is stored under each key, so that what was written last is checked as well. */
async function addLastReads(history: Event[], { port }: ServerProcess): Promise<void> {
  using client = await Client.connect(port);
  const keys = new Set(history.map(({ request: [, key] }) => key).filter((key) => key !== ""));
  for (const key of keys) {
    const calledAt = performance.now();
    const reply = await client.ask(`GET ${key}`);
    history.push({ request: ["GET", key], reply, calledAt, repliedAt: performance.now() });
  }
}

function report(
  history: readonly Event[],
  { brokenAt, mendedAt }: { brokenAt: number; mendedAt: number },
): string {
  const since = history.filter(({ repliedAt }) => repliedAt >= brokenAt);
  let [last, stall] = [brokenAt, 0];
  for (const event of since.filter(isWrite).sort((a, b) => a.repliedAt - b.repliedAt)) {
    stall = Math.max(stall, event.repliedAt - last);
    last = event.repliedAt;
  }
  const count = (holds: (event: Event) => boolean) => since.filter(holds).length;
  return `${since.length} requests, ${count(isWrite)} writes acknowledged, ` +
    `${count(({ reply }) => reply?.startsWith("500") ?? false)} times 500, ` +
    `${count(({ reply }) => reply === undefined)} without a reply, ` +
    `writes stalled for ${Math.round(stall)} ms (mended after ${
      Math.round(mendedAt - brokenAt)
    } ms)`;
}

function lastWrite(history: readonly Event[]): number {
  return history.findLast(isWrite)?.repliedAt ?? 0;
}

function isWrite({ request: [verb], reply }: Event): boolean {
  return !verb.startsWith("GET") && (reply?.startsWith("200") ?? false);
}

function restart(node: EtcdNode): Promise<void> {
  return Promise.resolve(node.start());
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + RECOVERY_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error("writes don't go on");
    await delay(50);
  }
}
