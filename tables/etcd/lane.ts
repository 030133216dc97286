/**
 * A lane takes one transaction after another to the engine, and can always tell whether one took place.
 *
 * Each transaction puts its number under the lane's mark, and holds only where nobody has changed the
 * mark since the last one. So where no answer came, the lane looks at the mark, and in the same step
 * changes it if it is still the old one: then the transaction can't take place any more, even if it is
 * still on its way somewhere.
 *
 * @module
 */

import { type Cluster, NotReachedError, UncertainError } from "./cluster.ts";
import type { Compare, KeyValue, Op } from "./messages.ts";

/** What a lane commits. */
export interface Commit {
  /** What must hold. */
  readonly compare: readonly Compare[];
  /** What to do then. */
  readonly ops: readonly Op[];
}

/** What a lane needs of a cluster. */
export type Engine = Pick<Cluster, "once" | "repeatable">;

/** How long to wait before the next attempt, in milliseconds. */
const RETRY_MS = 50;

/** One lane. It takes a transaction only after the one before it. */
export class Lane {
  /** Where its mark is. */
  readonly key: Uint8Array<ArrayBuffer>;
  readonly #cluster: Engine;
  readonly #settleMs: number;
  /** The revision that changed the mark last; 0: there is none. */
  #modRevision = 0;
  #number = 0;

  /** `settleMs` is how long to look for what became of a transaction, in milliseconds. */
  constructor(
    cluster: Engine,
    { key, settleMs }: { key: Uint8Array<ArrayBuffer>; settleMs: number },
  ) {
    this.#cluster = cluster;
    this.key = key;
    this.#settleMs = settleMs;
  }

  /**
   * Commits. False: something did not hold, and nothing took place. Throws TableError where nothing took
   * place either, and UncertainError where nobody knows: the lane is of no use then.
   */
  async commit({ compare, ops }: Commit, deadline: number): Promise<boolean> {
    const text = `${++this.#number} ${Date.now()}`;
    const mark = { key: this.key, modRevision: this.#modRevision };
    const txn = {
      compare: [mark, ...compare],
      success: [putOf(this.key, text), ...ops],
      failure: [{ type: "get" as const, key: this.key }],
    };
    for (;;) {
      try {
        const { succeeded, revision, results } = await this.#cluster.once(txn, deadline);
        this.#modRevision = succeeded ? revision : results[0]!.kvs[0]?.modRevision ?? 0;
        return succeeded;
      } catch (error) {
        if (error instanceof UncertainError) return await this.#settle(text, deadline);
        if (!(error instanceof NotReachedError) || Date.now() + RETRY_MS >= deadline) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  /** Finds out whether the transaction with this mark took place, and if not, sees to it that it never does. */
  async #settle(text: string, deadline: number): Promise<boolean> {
    const until = Math.max(deadline, Date.now() + this.#settleMs);
    const fence = `no ${text}`;
    const txn = {
      compare: [{ key: this.key, modRevision: this.#modRevision }],
      success: [putOf(this.key, fence)],
      failure: [{ type: "get" as const, key: this.key }],
    };
    const { succeeded, revision, results } = await this.#cluster.repeatable(txn, until)
      .catch((error) => {
        throw new UncertainError("the engine was lost in the middle of a commit", { cause: error });
      });
    if (succeeded) {
      this.#modRevision = revision;
      return false;
    }
    const found = results[0]!.kvs[0];
    const mark = textOf(found);
    // An earlier attempt to put the fence may have got through.
    if (found === undefined || mark !== text && mark !== fence) {
      throw new UncertainError("somebody has removed the mark of a commit");
    }
    this.#modRevision = found.modRevision;
    return mark === text;
  }
}

/** When a mark was put, in milliseconds since 1970. */
export function timeOfMark(mark: KeyValue): number {
  return Number(textOf(mark)!.split(" ").at(-1));
}

function putOf(key: Uint8Array<ArrayBuffer>, text: string): Op {
  return { type: "put", key, value: new TextEncoder().encode(text) };
}

function textOf(kv: KeyValue | undefined): string | undefined {
  return kv && new TextDecoder().decode(kv.value);
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
