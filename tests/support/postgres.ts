/**
 * PostgreSQL for a test: a primary and standbys on free ports of 127.0.0.1, with their data in a temporary folder,
 * that can be killed, stopped, started again and promoted. They run as the user `postgres` where the tests run as
 * root, which PostgreSQL refuses.
 *
 * @module
 */

import { programOf } from "../../bench/postgres_programs.ts";
import { freePorts } from "./etcd.ts";
import { isGranted, tempFolder, testWithProgram } from "./harness.ts";

/** The role, and the database, of the tests. */
export const USER = "keyline";
const DATABASE = "postgres";
/** How long a server may take to come up, in milliseconds. */
const START_MS = 60_000;
/** So that several of them fit on one machine, and start fast. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  shared_buffers: "32MB",
  max_connections: "40",
  max_wal_senders: "8",
  wal_keep_size: "256MB",
  min_wal_size: "32MB",
  hot_standby: "on",
  wal_receiver_status_interval: "1s",
  wal_retrieve_retry_interval: "200ms",
  lc_messages: "C",
};

/** How to start servers. */
export interface PostgresOptions {
  /** How many standbys there are; none where it is left out. Commits wait for one of them. */
  readonly standbys?: number;
  /** Settings for every server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Called before the first start, with each folder of data. */
  readonly prepare?: (folder: string) => void;
}

/** One server. */
export class PostgresNode {
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  #child: Deno.ChildProcess | undefined;

  constructor(
    { name, port, folder, settings }: {
      name: string;
      port: number;
      folder: string;
      settings: Readonly<Record<string, string>>;
    },
  ) {
    this.name = name;
    this.port = port;
    this.folder = folder;
    this.#settings = settings;
  }

  /** Makes an empty folder of data. */
  async init(): Promise<void> {
    const args = ["-D", this.folder, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale", "C"];
    await runAsOwner(programOf("initdb"), [...args, "--no-sync"]);
  }

  /** Makes a copy of another server's data, and follows it. */
  async copy(primary: PostgresNode): Promise<void> {
    await removeFolder(this.folder);
    const args = ["-h", "127.0.0.1", "-p", `${primary.port}`, "-U", USER, "-D", this.folder];
    await runAsOwner(programOf("pg_basebackup"), [...args, "-X", "stream", "-c", "fast", "-N"]);
    await Deno.writeTextFile(`${this.folder}/standby.signal`, "");
    this.#own();
    await this.follow(primary);
  }

  /** Follows another primary, from its next start or `reload` on. */
  async follow(primary: PostgresNode): Promise<void> {
    const from = `host=127.0.0.1 port=${primary.port} user=${USER} application_name=${this.name}`;
    const path = `${this.folder}/postgresql.auto.conf`;
    await Deno.writeTextFile(path, `primary_conninfo = '${from}'\n`);
  }

  /** Reads its settings again. */
  reload(): void {
    this.#child?.kill("SIGHUP");
  }

  /** Starts it, for the first time or again. */
  start(): void {
    const settings = { ...SETTINGS, ...this.#settings, port: `${this.port}` };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    this.#child = new Deno.Command(programOf("postgres"), {
      args: ["-D", this.folder, ...flags],
      ...owner(),
      stdin: "null",
      stdout: "null",
      stderr: Deno.env.get("KEYLINE_POSTGRES_LOG") === undefined ? "null" : "inherit",
    }).spawn();
  }

  /** Waits until it answers. */
  async ready(): Promise<void> {
    const deadline = Date.now() + START_MS;
    while ((await this.sql("SELECT 1")).code !== 0) {
      if (Date.now() > deadline) throw new Error("PostgreSQL does not come up");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Runs a statement with psql. */
  async sql(text: string): Promise<{ code: number; stdout: string; stderr: string }> {
    const { code, stdout, stderr } = await new Deno.Command("psql", {
      args: [
        ...["-h", "127.0.0.1", "-p", `${this.port}`, "-U", USER, "-d", DATABASE],
        ...["-AtXq", "-c", text],
      ],
      env: {
        PGCONNECT_TIMEOUT: "2",
        PGOPTIONS: "-c statement_timeout=20s -c default_transaction_read_only=off",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    return { code, stdout: out!, stderr: err! };
  }

  /** Sends all of its processes a signal. */
  signal(signal: Deno.Signal): void {
    if (this.#child === undefined) return;
    for (const pid of [this.#child.pid, ...childrenOf(this.#child.pid)]) {
      try {
        Deno.kill(pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
  }

  /** Kills it, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.signal("SIGKILL");
    this.#child = undefined;
    await child.status;
  }

  #own(): void {
    const { uid, gid } = owner();
    if (uid !== undefined) Deno.chownSync(`${this.folder}/standby.signal`, uid, gid!);
  }
}

/** A primary with its standbys. Use it with `await using`, which ends them and removes their data. */
export class PostgresCluster implements AsyncDisposable {
  readonly nodes: readonly PostgresNode[];
  /** The one that takes changes. */
  primary: PostgresNode;
  readonly #folder: string;

  private constructor(nodes: readonly PostgresNode[], folder: string) {
    this.nodes = nodes;
    this.primary = nodes[0]!;
    this.#folder = folder;
  }

  /** Starts servers and waits until they answer. */
  static async start(
    { standbys = 0, settings = {}, prepare }: PostgresOptions = {},
  ): Promise<PostgresCluster> {
    const folder = tempFolder();
    const { uid, gid } = owner();
    if (uid !== undefined) Deno.chownSync(folder, uid, gid!);
    const names = Array.from({ length: standbys + 1 }, (_, i) => `n${i}`);
    const all = {
      ...(standbys > 0 && { synchronous_standby_names: `ANY 1 (${names.join()})` }),
      ...settings,
    };
    const ports = freePorts(names.length);
    const nodes = names.map((name, i) =>
      new PostgresNode({ name, port: ports[i]!, folder: `${folder}/${name}`, settings: all })
    );
    const cluster = new PostgresCluster(nodes, folder);
    try {
      const [primary, ...others] = nodes as [PostgresNode, ...PostgresNode[]];
      await primary.init();
      prepare?.(primary.folder);
      primary.start();
      await primary.ready();
      for (const standby of others) {
        await standby.copy(primary);
        standby.start();
      }
      await Promise.all(others.map((standby) => standby.ready()));
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** What `--table` takes; each test has a table of its own. */
  url(table: string): string {
    const hosts = this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return `postgres://${USER}@${hosts}/${DATABASE}?table=${table.replaceAll("-", "_")}`;
  }

  /** Those that are not the primary. */
  get standbys(): PostgresNode[] {
    return this.nodes.filter((node) => node !== this.primary);
  }

  /** Makes that standby the primary which has most of the log; the others follow it. */
  async promote(): Promise<void> {
    const places = await Promise.all(this.standbys.map(async (node) => {
      const lsn = "pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')";
      return { node, place: Number((await node.sql(`SELECT ${lsn}`)).stdout) };
    }));
    places.sort((a, b) => b.place - a.place);
    const [best, ...others] = places.map(({ node }) => node);
    await best!.sql("SELECT pg_promote()");
    this.primary = best!;
    for (const node of others) {
      await node.follow(best!);
      node.reload();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) node.signal("SIGCONT");
    await Promise.all(this.nodes.map((node) => node.kill()));
    await removeFolder(this.#folder);
  }
}

/** Removes a folder in which processes that have just been killed may still write something. */
async function removeFolder(folder: string): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function runAsOwner(program: string, args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    ...owner(),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Whom the servers belong to; nobody else where the tests do not run as root. */
export function owner(): { uid?: number; gid?: number } {
  if (Deno.uid() !== 0) return {};
  const id = (flag: string) => {
    const { stdout } = new Deno.Command("id", { args: [flag, "postgres"] }).outputSync();
    return Number(new TextDecoder().decode(stdout));
  };
  return { uid: id("-u"), gid: id("-g") };
}

/** The processes that a process has started. */
function childrenOf(parent: number): number[] {
  const args = ["--ppid", `${parent}`, "-o", "pid="];
  const { stdout } = new Deno.Command("ps", { args }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").map(Number).filter((pid) => pid > 0);
}

/** Defines a test that needs PostgreSQL; where it is not installed, the test is ignored, and says so. */
export function testWithPostgres(
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  testWithProgram(isGranted(["read"]) ? programOf("postgres") : "postgres", name, fn);
}
