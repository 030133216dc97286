/**
 * A cluster that loses what it is told to lose: requests, answers, or both, and requests that arrive when
 * nobody waits for them any more.
 *
 * @module
 */

import { Cluster } from "../../../tables/etcd/cluster.ts";
import { EngineFullError, UncertainError } from "../../../tables/etcd/errors.ts";
import type { Txn, TxnResult } from "../../../tables/etcd/messages.ts";
import type { Engine } from "../../../tables/etcd/shared_log.ts";

/** What becomes of a transaction on its way. */
export type Fate =
  | "arrives"
  | "request lost"
  | "answer lost"
  | "request late"
  | "refused, the engine is full"
  | "done, and the engine is full";

const RETRY_MS = 5;

/** The cluster. */
export class LossyEngine implements Engine {
  /** What becomes of the next transactions: first to last. */
  readonly fates: Fate[] = [];
  /** What becomes of all others. */
  usually: Fate = "arrives";
  /** Answers that are longer than this, in bytes of values, don't arrive in time. */
  answerBytesMax = Infinity;
  /** What is still on its way. */
  readonly late: Txn[] = [];
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async once(txn: Txn, deadline: number): Promise<TxnResult> {
    const fate = this.fates.shift() ?? this.usually;
    if (fate === "request late") this.late.push(txn);
    const isSent = ["arrives", "answer lost", "done, and the engine is full"].includes(fate);
    const result = isSent ? await this.#cluster.once(txn, deadline) : undefined;
    if (fate.endsWith("full")) throw new EngineFullError();
    if (fate !== "arrives") throw new UncertainError(fate);
    if (bytesOf(result!) > this.answerBytesMax) throw new UncertainError("too slow");
    return result!;
  }

  async repeatable(txn: Txn | (() => Txn), deadline: number): Promise<TxnResult> {
    for (;;) {
      try {
        return await this.once(typeof txn === "function" ? txn() : txn, deadline);
      } catch (error) {
        if (!(error instanceof UncertainError) || Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  compact(revision: number, deadline: number): Promise<void> {
    return this.#cluster.compact(revision, deadline);
  }

  /** Lets arrive what is late; returns how many of them took place. */
  async deliver(): Promise<number> {
    const results = await Promise.all(
      this.late.splice(0).map((txn) => this.#cluster.once(txn, Date.now() + 5_000)),
    );
    return results.filter(({ succeeded }) => succeeded).length;
  }
}

function bytesOf({ results }: TxnResult): number {
  const values = results.flatMap(({ kvs }) => kvs.map(({ value }) => value.length));
  return values.reduce((sum, length) => sum + length, 0);
}
