/**
 * An etcd cluster of its own for a test: nodes on free ports of 127.0.0.1, with their data in a temporary
 * folder, that can be killed, stopped and started again.
 *
 * @module
 */

import { tempFolder } from "./harness.ts";

/** How long a cluster may take to come up, in milliseconds. */
const START_MS = 30_000;

/** How to start a cluster. */
export interface EtcdClusterOptions {
  /** How many nodes; three where it is left out. */
  readonly nodes?: number;
  /** Flags of etcd, for every node. */
  readonly args?: readonly string[];
}

/** One node. */
export class EtcdNode {
  readonly address: string;
  readonly #args: readonly string[];
  #child: Deno.ChildProcess | undefined;

  constructor(address: string, args: readonly string[]) {
    this.address = address;
    this.#args = args;
  }

  /** Starts it, for the first time or again. */
  start(): void {
    this.#child = new Deno.Command("etcd", {
      args: [...this.#args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** What it was started with for a flag. */
  flag(name: string): string {
    return this.#args[this.#args.indexOf(name) + 1]!;
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#child?.kill(signal);
  }

  /** Kills it, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    child.kill("SIGKILL");
    await child.status;
  }
}

/** A cluster. Use it with `await using`, which ends it and removes its data. */
export class EtcdCluster implements AsyncDisposable {
  readonly nodes: readonly EtcdNode[];
  readonly #folder: string;
  readonly #scheme: "http" | "https";

  private constructor(nodes: readonly EtcdNode[], folder: string, scheme: "http" | "https") {
    this.nodes = nodes;
    this.#folder = folder;
    this.#scheme = scheme;
  }

  /** Starts a cluster and waits until it answers. */
  static async start(
    { nodes: count = 3, args = [] }: EtcdClusterOptions = {},
  ): Promise<EtcdCluster> {
    const folder = tempFolder();
    const scheme = args.includes("--cert-file") ? "https" : "http";
    const ports = freePorts(2 * count);
    const peers = Array.from({ length: count }, (_, i) => `http://127.0.0.1:${ports[count + i]}`);
    const nodes = peers.map((peer, i) => {
      const client = `${scheme}://127.0.0.1:${ports[i]}`;
      return new EtcdNode(`127.0.0.1:${ports[i]}`, [
        ...["--name", `n${i}`, "--data-dir", `${folder}/n${i}`, "--log-level", "error"],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", peers.map((url, j) => `n${j}=${url}`).join(",")],
        ...["--initial-cluster-token", folder],
        ...args,
      ]);
    });
    const cluster = new EtcdCluster(nodes, folder, scheme);
    for (const node of nodes) node.start();
    try {
      await cluster.ready();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** What `--table` takes; each test has a prefix of its own. */
  url(prefix: string): string {
    return `etcd://${this.nodes.map(({ address }) => address).join(",")}/${prefix}`;
  }

  /** Waits until a majority answers. */
  async ready(flags: readonly string[] = []): Promise<void> {
    const deadline = Date.now() + START_MS;
    const { address } = this.nodes[0]!;
    for (;;) {
      if (this.#scheme === "https" && await isOpen(address)) return;
      const { code } = await this.ctl(["get", "none"], { flags });
      if (code === 0) return;
      if (Date.now() > deadline) throw new Error("etcd does not come up");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Runs etcdctl over all nodes. */
  async ctl(
    args: readonly string[],
    { flags = [] }: { flags?: readonly string[] } = {},
  ): Promise<{ code: number; stdout: string }> {
    const endpoints = this.nodes.map(({ address }) => address).join(",");
    const { code, stdout } = await new Deno.Command("etcdctl", {
      args: ["--endpoints", endpoints, "--command-timeout", "2s", ...flags, ...args],
      env: { ETCDCTL_API: "3" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  }

  /** Writes a backup of the only node, and returns its file. */
  async backUp(): Promise<string> {
    const file = `${this.#folder}/${crypto.randomUUID()}`;
    const { code } = await this.ctl(["snapshot", "save", file]);
    if (code !== 0) throw new Error("etcd can't be backed up");
    return file;
  }

  /** Puts a backup in place of what the only node has, and waits until it answers. */
  async restore(file: string): Promise<void> {
    const [node] = this.nodes;
    await node!.kill();
    Deno.removeSync(node!.flag("--data-dir"), { recursive: true });
    const flags = ["--name", "--data-dir", "--initial-advertise-peer-urls", "--initial-cluster"]
      .flatMap((name) => [name, node!.flag(name)]);
    const { code } = await this.ctl(["snapshot", "restore", file], { flags });
    if (code !== 0) throw new Error("etcd can't be restored");
    node!.start();
    await this.ready();
  }

  /** The node that leads now, then the others. */
  async byRank(): Promise<EtcdNode[]> {
    const { stdout } = await this.ctl(["endpoint", "status", "-w", "json"]);
    const all = JSON.parse(stdout) as {
      Endpoint: string;
      Status: { header: { member_id: number }; leader: number };
    }[];
    const leader = all.find(({ Status }) => Status.header.member_id === Status.leader)?.Endpoint;
    return this.nodes.toSorted((a, b) =>
      Number(b.address === leader) - Number(a.address === leader)
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** Ports that are free now: all are held at once, so that none comes twice. */
export function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map(({ addr }) => (addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}

async function isOpen(address: string): Promise<boolean> {
  const [hostname, port] = address.split(":");
  try {
    (await Deno.connect({ hostname: hostname!, port: Number(port) })).close();
    return true;
  } catch {
    return false;
  }
}
