/**
 * What the cases of snapshots share: tables in etcd that write snapshots soon, and whose calls a test can
 * hold up.
 *
 * @module
 */

import type { Cluster } from "../../../tables/etcd/cluster.ts";
import { EtcdTable } from "../../../tables/etcd/etcd_table.ts";
import type { Put, Txn, TxnResult } from "../../../tables/etcd/messages.ts";
import type { Replica } from "../../../tables/etcd/replica.ts";
import type { Engine } from "../../../tables/etcd/shared_log.ts";
import type { SnapshotLimits } from "../../../tables/etcd/snapshot_writer.ts";
import type { Clock } from "../../../tables/table.ts";
import type { EtcdCluster } from "../../support/etcd.ts";

const TIMEOUT_MS = 10_000;
const WAIT_MS = 20_000;
/** So low that a few turns make a snapshot due, and that it has several parts. */
const LIMITS = { logBytesMin: 15_000, chunkBytes: 1_000 };

/** How a test opens a table. */
export interface OpenOptions {
  /** What its keys in etcd begin with, without a slash. */
  readonly prefix: string;
  readonly now?: Clock;
  /** Called with each transaction; what it throws becomes of the call. */
  readonly before?: (txn: Txn) => void | Promise<void>;
  /** Called with each transaction that took place; what it throws becomes of the answer. */
  readonly after?: (txn: Txn) => void;
  /** Set for a server that writes no snapshots by itself. */
  readonly isPatient?: boolean;
  /** When it writes one otherwise. */
  readonly limits?: SnapshotLimits;
  /** Stands between the table and the cluster, in place of what calls `before` and `after`. */
  readonly wrap?: (cluster: Cluster) => Engine;
}

/** A table, which is closed at the end of the scope. */
export type OpenTable = EtcdTable & AsyncDisposable;

/** Opens a table. */
export async function openTable(
  cluster: EtcdCluster,
  {
    prefix,
    now = Date.now,
    before = () => {},
    after = () => {},
    isPatient = false,
    limits = LIMITS,
    wrap,
  }: OpenOptions,
): Promise<OpenTable> {
  const table = await EtcdTable.open({
    nodes: cluster.nodes.map(({ address }) => address),
    prefix: `${prefix}/`,
    timeout: TIMEOUT_MS,
    now,
    limits: isPatient ? { ...limits, logBytesMin: Infinity } : limits,
    wrap: wrap ?? ((cluster) => new HeldEngine(cluster, { before, after })),
  });
  return Object.assign(table, { [Symbol.asyncDispose]: () => table.close() });
}

/** A turn: runs until its commit gets through, and returns what the last run has returned. */
export async function turn<Result>(
  table: EtcdTable,
  run: (replica: Replica) => Result,
): Promise<Result> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    await table.begin(deadline);
    const result = run(table.replica);
    if (await table.commit(deadline)) return result;
  }
}

/** Lets turns go by, which put the same key, until something holds. */
export async function turnsUntil(
  table: EtcdTable,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  for (let i = 0; !await holds(); i++) {
    if (performance.now() > deadline) throw new Error("it never holds");
    await turn(table, (replica) => void replica.put("filler", "x".repeat(i % 200 + 1)));
  }
}

/** How many snapshots a server has written. */
export function snapshotsOf({ replica }: EtcdTable): number {
  return replica.stats().snapshots!;
}

/** All entries, their values as strings, in the order of their keys. */
export function contentsOf(replica: Replica): [string, string, number, number | null][] {
  return replica.keys({ prefix: "", after: "", limit: Infinity }).keys.map((key) => {
    const { value, version, expiresAt } = replica.entry(key)!;
    return [key, String(value), version, expiresAt];
  });
}

/** The keys of the engine under a prefix, without the prefix. */
export async function storedIn(cluster: EtcdCluster, prefix: string): Promise<string[]> {
  const { stdout } = await cluster.ctl(["get", "--prefix", `${prefix}/`, "--keys-only"]);
  return stdout.split("\n").filter((line) => line !== "").map((key) =>
    key.slice(prefix.length + 1)
  );
}

/** Whether a transaction stores a part of a snapshot. */
export function isChunk(txn: Txn): boolean {
  return putsOf(txn).some((key) => key.includes("/snapshot/"));
}

/** Holds up the part with this number, from 1 on, of what a table sends, until it is released. */
export function holdChunk(number: number) {
  const held = Promise.withResolvers<void>();
  let chunks = 0;
  return {
    /** An option of `openTable`. */
    before: (txn: Txn) => isChunk(txn) && ++chunks === number ? held.promise : undefined,
    /** Whether it is the last part that was sent. */
    isHeld: () => chunks === number,
    release: () => held.resolve(),
  };
}

/** Whether it makes a snapshot count; not the one that makes the table. */
export function isCurrent(txn: Txn): boolean {
  return /^[^,]*\/current$/.test(putsOf(txn).join());
}

/** Whether it removes something. */
export function isRemoval({ success }: Txn): boolean {
  return success.some(({ type }) => type === "delete");
}

/** Where a transaction puts something. */
function putsOf({ success }: Txn): string[] {
  const puts = success.filter((op): op is Put => op.type === "put");
  return puts.map(({ key }) => new TextDecoder().decode(key));
}

class HeldEngine implements Engine {
  readonly #cluster: Cluster;
  readonly #hooks: Required<Pick<OpenOptions, "before" | "after">>;

  constructor(cluster: Cluster, hooks: Required<Pick<OpenOptions, "before" | "after">>) {
    this.#cluster = cluster;
    this.#hooks = hooks;
  }

  once(txn: Txn, deadline: number): Promise<TxnResult> {
    return this.#call(txn, () => this.#cluster.once(txn, deadline));
  }

  repeatable(txn: Txn | (() => Txn), deadline: number): Promise<TxnResult> {
    const first = typeof txn === "function" ? txn() : txn;
    return this.#call(first, () => this.#cluster.repeatable(first, deadline));
  }

  compact(revision: number, deadline: number): Promise<void> {
    return this.#cluster.compact(revision, deadline);
  }

  async #call(txn: Txn, call: () => Promise<TxnResult>): Promise<TxnResult> {
    await this.#hooks.before(txn);
    const result = await call();
    this.#hooks.after(txn);
    return result;
  }
}
