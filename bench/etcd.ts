/**
 * Keyline over three nodes of etcd, beside a program that sends etcd one call for each request: with the
 * same client, the same number of requests in flight, and the same share of writes. Called by main.ts.
 *
 * @module
 */
import protobuf from "npm:protobufjs@7.6.6";
import { table } from "../docs/markdown.ts";
import { type Method, Node } from "../tables/etcd/grpc.ts";
import type { Drive } from "./generator.ts";
import { freePort, startKeyline } from "./peers.ts";
import { output, Program, sleep } from "./processes.ts";
import { type Machine, median } from "./results.ts";

/** What to measure with. */
export interface EtcdBench {
  readonly drive: Drive;
  /** Where the nodes get their folders. */
  readonly folder: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Whether to run one small cell, to see that everything works. */
  readonly quick: boolean;
  readonly progress: (line: string) => void;
}

/** One load: requests per second. */
export interface EtcdCell {
  readonly clients: number;
  readonly inFlight: number;
  /** Percent of the requests that store a value. */
  readonly writes: number;
  readonly keyline: number;
  /** One call of etcd for each request. */
  readonly calls: number;
  /** The median of the rounds' ratios. */
  readonly ratio: number;
}

/** What was measured. */
export interface EtcdResults {
  readonly version: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly cells: readonly EtcdCell[];
}

const NODES = 3;
const KEYS = 20_000;
const VALUE_BYTES = 64;
const KEY_DIGITS = 10;
const CALL_MS_MAX = 60_000;
const START_MS_MAX = 60_000;
/** The tags of a message's first two length-delimited fields. */
const [FIRST, SECOND] = [1 << 3 | 2, 2 << 3 | 2];
const SHAPES = [[50, 1], [50, 16], [50, 64]] as const;

/** Measures every cell, both sides in turns. Throws if etcd is not installed. */
export async function measureEtcd(bench: EtcdBench): Promise<EtcdResults> {
  const { drive, rounds, seconds, quick, progress } = bench;
  const version = await output("etcd", ["--version"]).catch((error) => {
    if (error instanceof Deno.errors.NotFound) throw new Error("etcd is not installed.");
    throw error;
  });
  await using programs = new AsyncDisposableStack();
  const nodes = await startNodes(bench.folder, programs);
  const server = await startKeyline(`etcd://${nodes.join(",")}/bench`, programs);
  const node = new Node(nodes[0]!);
  programs.defer(() => node.close());
  const fill = { clients: 50, inFlight: 16, seconds: 60, keys: KEYS, valueBytes: VALUE_BYTES };
  await drive(server, { ...fill, mode: "fill", writes: 100 });
  const cells: EtcdCell[] = [];
  for (const [clients, inFlight] of quick ? SHAPES.slice(0, 1) : SHAPES) {
    for (const writes of [10, 100]) {
      const load = { clients, inFlight, writes, seconds, keys: KEYS, valueBytes: VALUE_BYTES };
      const keyline: number[] = [];
      const calls: number[] = [];
      for (let round = 0; round < rounds; round++) {
        keyline.push((await drive(server, load)).requestsPerS);
        calls.push(await callsPerS(node, { atOnce: clients * inFlight, writes, seconds }));
      }
      const ratio = median(keyline.map((rate, i) => rate / calls[i]!));
      cells.push({
        clients,
        inFlight,
        writes,
        keyline: median(keyline),
        calls: median(calls),
        ratio,
      });
      progress(`${clients} x ${inFlight}, ${writes} % writes: ${ratio.toFixed(1)}`);
    }
  }
  return { version: /\d+(\.\d+)+/.exec(version)?.[0] ?? "unknown", rounds, seconds, cells };
}

/** What was measured, as a page. */
export function etcdPage(
  { version, rounds, seconds, cells }: EtcdResults,
  machine: Machine,
): string {
  const number = (value: number) => Math.round(value).toLocaleString("en");
  const rows = cells.map(({ clients, inFlight, writes, keyline, calls, ratio }) => [
    `${clients} × ${inFlight}`,
    `${writes} %`,
    number(keyline),
    number(calls),
    ratio.toFixed(1),
  ]);
  return [
    "# Over etcd",
    "What `deno task bench --etcd` measured. This page is rendered; nothing in it is typed by hand.",
    `Three nodes of etcd ${version}, Keyline and the load generator on one machine: ${machine.cpu}, ` +
    `${machine.cores} cores. ${number(KEYS)} keys, values of ${VALUE_BYTES} bytes, the median of ` +
    `${rounds} rounds of ${seconds} s, both sides in turns. _One call each_ is a program that sends ` +
    "etcd a call for each request, with the client of etcd that Keyline has and as many calls at once.",
    table(["clients × in flight", "writes", "Keyline/s", "one call each/s", "ratio"], rows, {
      leftColumns: 1,
    }),
  ].join("\n\n") + "\n";
}

async function startNodes(folder: string, programs: AsyncDisposableStack): Promise<string[]> {
  const ports = Array.from({ length: 2 * NODES }, freePort);
  const url = (i: number) => `http://127.0.0.1:${ports[i]}`;
  const names = Array.from({ length: NODES }, (_, i) => `n${i}`);
  const cluster = names.map((name, i) => `${name}=${url(NODES + i)}`).join(",");
  for (const [i, name] of names.entries()) {
    const program = new Program("etcd", [
      ...["--name", name, "--data-dir", `${folder}/${name}`, "--log-level", "error"],
      ...["--listen-client-urls", url(i), "--advertise-client-urls", url(i)],
      ...["--listen-peer-urls", url(NODES + i), "--initial-advertise-peer-urls", url(NODES + i)],
      ...["--initial-cluster", cluster],
      ...["--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1m"],
    ]);
    programs.defer(() => program.stop());
  }
  const nodes = names.map((_, i) => `127.0.0.1:${ports[i]}`);
  for (const end = Date.now() + START_MS_MAX; Date.now() < end; await sleep(100)) {
    const args = ["--endpoints", nodes.join(","), "get", "none"];
    if (await output("etcdctl", args).then(() => true, () => false)) return nodes;
  }
  throw new Error("etcd does not come up.");
}

/** Stores a value. */
const PUT: Method<{ key: string; value: Uint8Array }, void> = {
  path: "/etcdserverpb.KV/Put",
  encode: ({ key, value }) =>
    protobuf.Writer.create().uint32(FIRST).string(key).uint32(SECOND).bytes(value).finish(),
  decode() {},
};
/** Reads a value. */
const RANGE: Method<{ key: string }, void> = {
  path: "/etcdserverpb.KV/Range",
  encode: ({ key }) => protobuf.Writer.create().uint32(FIRST).string(key).finish(),
  decode() {},
};

/** How many calls a second one node answers, so many at once. */
async function callsPerS(
  node: Node,
  { atOnce, writes, seconds }: { atOnce: number; writes: number; seconds: number },
): Promise<number> {
  const value = new Uint8Array(VALUE_BYTES).fill(0x78);
  const startedAt = performance.now();
  const end = startedAt + seconds * 1_000;
  let count = 0;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (performance.now() < end) {
      const key = String(Math.floor(Math.random() * KEYS)).padStart(KEY_DIGITS, "0");
      const method = Math.random() * 100 < writes ? PUT : RANGE;
      await node.call(method, { key: `calls/${key}`, value }, { timeout: CALL_MS_MAX });
      count++;
    }
  }));
  return count * 1_000 / (performance.now() - startedAt);
}
