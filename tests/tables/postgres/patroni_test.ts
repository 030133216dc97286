/**
 * A failover by Patroni over etcd: the leader is killed under load, with the PostgreSQL that it watches. No write that
 * was acknowledged is lost, nothing stale is told, and writes go on by themselves.
 *
 * `KEYLINE_POSTGRES_SEED` sets which requests are made.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EtcdCluster, freePorts } from "../../support/etcd.ts";
import {
  hasProgram,
  isGranted,
  numberFrom,
  ServerProcess,
  tempFolder,
} from "../../support/harness.ts";
import { programOf } from "../../../bench/postgres_programs.ts";
import { owner, PostgresNode, testWithPostgres, USER } from "../../support/postgres.ts";
import { readWhole, WholeLoad } from "../../support/whole_load.ts";
import { type TableEvent, tableViolationOf } from "../../support/whole_table.ts";
import { randomFrom } from "../etcd/workload.ts";
import { delay } from "../../support/waiting.ts";

const SEED = numberFrom("KEYLINE_POSTGRES_SEED", Date.now() % 1_000_000_000);
const NODES = 3;
const WAIT_MS = 90_000;

/** One node: Patroni, and the PostgreSQL that it starts. */
class PatroniNode {
  readonly postgres: PostgresNode;
  readonly api: number;
  #child: Deno.ChildProcess;

  constructor(
    { name, folder, etcd, ports: [port, api] }: {
      name: string;
      folder: string;
      etcd: string;
      ports: readonly [number, number];
    },
  ) {
    this.api = api;
    const data = `${folder}/${name}`;
    this.postgres = new PostgresNode({ name, port, folder: data, settings: {} });
    const config = {
      scope: "keyline",
      name,
      restapi: { listen: `127.0.0.1:${api}`, connect_address: `127.0.0.1:${api}` },
      etcd3: { host: etcd },
      bootstrap: {
        dcs: {
          ttl: 20,
          loop_wait: 1,
          retry_timeout: 3,
          synchronous_mode: true,
          synchronous_mode_strict: true,
          postgresql: { use_pg_rewind: false, parameters: { max_connections: 40 } },
        },
        initdb: [{ encoding: "UTF8" }, { locale: "C" }, { auth: "trust" }, "no-sync"],
      },
      postgresql: {
        listen: `127.0.0.1:${port}`,
        connect_address: `127.0.0.1:${port}`,
        data_dir: data,
        bin_dir: programOf("postgres").replace(/\/postgres$/, ""),
        pgpass: `${folder}/${name}.pgpass`,
        authentication: { superuser: { username: USER }, replication: { username: USER } },
        parameters: { unix_socket_directories: folder, shared_buffers: "32MB" },
        pg_hba: [
          "host all all 127.0.0.1/32 trust",
          "host replication all 127.0.0.1/32 trust",
          "local all all trust",
        ],
        remove_data_directory_on_diverged_timelines: true,
      },
    };
    const path = `${folder}/${name}.json`;
    Deno.writeTextFileSync(path, JSON.stringify(config));
    this.#child = new Deno.Command("patroni", {
      args: [path],
      ...owner(),
      stdin: "null",
      stdout: "null",
      stderr: Deno.env.get("KEYLINE_POSTGRES_LOG") === undefined ? "null" : "inherit",
    }).spawn();
  }

  /** What Patroni takes it for: "master" or "primary" where it leads. */
  async role(): Promise<string> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.api}/patroni`);
      return (await answer.json()).role;
    } catch {
      return "none";
    }
  }

  /** Kills both at once. */
  async kill(): Promise<void> {
    for (const pid of [this.#child.pid, ...this.#postmaster()]) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
    await this.#child.status;
  }

  #postmaster(): number[] {
    try {
      const pid = Deno.readTextFileSync(`${this.postgres.folder}/postmaster.pid`).split("\n")[0];
      return [Number(pid)];
    } catch {
      return [];
    }
  }
}

const isInstalled = isGranted(["run"]) && hasProgram("patroni") && hasProgram("etcd");
const name = `a failover by Patroni loses nothing${
  isInstalled ? "" : " (ignored: patroni or etcd is not installed)"
}`;
const define = isInstalled
  ? testWithPostgres
  : (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: true, fn });

define(name, async () => {
  await using etcd = await EtcdCluster.start({ nodes: 1 });
  const folder = tempFolder();
  const { uid, gid } = owner();
  if (uid !== undefined) Deno.chownSync(folder, uid, gid!);
  const ports = freePorts(2 * NODES);
  const nodes = Array.from({ length: NODES }, (_, i) =>
    new PatroniNode({
      name: `n${i}`,
      folder,
      etcd: etcd.nodes[0]!.address,
      ports: [ports[2 * i]!, ports[2 * i + 1]!],
    }));
  try {
    const leaderOf = async (among: readonly PatroniNode[]) => {
      for (const node of among) {
        if (/^(master|primary)$/.test(await node.role())) return node;
      }
      return undefined;
    };
    const leader = await eventually(() => leaderOf(nodes));
    // Both standbys are there, and one of them is synchronous.
    await eventually(async () => {
      const query = "SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')), count(*) " +
        "FROM pg_stat_replication";
      return (await leader.postgres.sql(query)).stdout === "1|2" || undefined;
    });
    const hosts = nodes.map(({ postgres: { port } }) => `127.0.0.1:${port}`).join();
    const table = `postgres://${USER}@${hosts}/postgres?table=failover`;
    const args = ["--table-timeout", "2"];
    await using first = await ServerProcess.start({ table, args });
    await using second = await ServerProcess.start({ table, args });
    const servers = [first, second];
    const load = new WholeLoad({ servers: () => servers, clients: 6, random: randomFrom(SEED) });
    const { state } = await readWhole(first);
    load.start();
    await delay(2_000);
    const killedAt = performance.now();
    await leader.kill();
    const next = await eventually(() => leaderOf(nodes.filter((node) => node !== leader)));
    const promotedAt = performance.now();
    await eventually(() =>
      Promise.resolve(
        load.events.some((event) => isWrite(event) && event.repliedAt > promotedAt) || undefined,
      )
    );
    const resumedAt = performance.now();
    await delay(2_000);
    const conversations = await load.stop();
    const last = await readWhole(second);
    const events = conversations.flat();
    const count = (holds: (event: TableEvent) => boolean) => events.filter(holds).length;
    console.log(
      `KEYLINE_POSTGRES_SEED=${SEED}: ${events.length} requests, ${
        count(isWrite)
      } writes acknowledged, ` +
        `${count(({ reply }) => reply?.at(-1)?.startsWith("500") ?? false)} times 500, ` +
        `${count(({ reply }) => reply === undefined)} without a reply; Patroni took ` +
        `${Math.round(promotedAt - killedAt)} ms, writes stalled for ${
          Math.round(resumedAt - killedAt)
        } ms`,
    );
    assert(next !== leader);
    assertEquals(tableViolationOf([...conversations, last.conversation], state), undefined);
  } finally {
    await Promise.all(nodes.map((node) => node.kill()));
    await delay(500);
    Deno.removeSync(folder, { recursive: true });
  }
});

function isWrite({ request: [verb], reply }: TableEvent): boolean {
  return /^(PUT|ADD|INCR|CAS)$/.test(verb!) && (reply?.at(-1)?.startsWith("200") ?? false);
}

async function eventually<Result>(look: () => Promise<Result | undefined>): Promise<Result> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const result = await look();
    if (result !== undefined) return result;
    if (performance.now() > deadline) throw new Error(`It does not come: ${look}`);
    await delay(200);
  }
}
