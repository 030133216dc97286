/**
 * Removes what has expired from the engine, whichever server comes to it. The hints in `x/` say what
 * expires when; an entry is removed only where it still is the one that was seen.
 *
 * @module
 */

import { type Cluster, NotReachedError, UncertainError } from "./cluster.ts";
import type { Compare, Delete } from "./messages.ts";
import { decodeEntry, type KeySpace } from "./record.ts";

/** How many hints a step follows: two comparisons each, of the 128 that a transaction may have. */
const HINTS_MAX = 60;

/** The sweeper of one server. */
export class Sweeper {
  readonly #cluster: Cluster;
  readonly #space: KeySpace;
  readonly #now: () => number;
  /** Whether any key may have an expiry. */
  mayExpire = true;
  /** How many entries it has removed. */
  removed = 0;

  /** Expires keys by this clock, in milliseconds since 1970. */
  constructor(cluster: Cluster, { space, now }: { space: KeySpace; now: () => number }) {
    this.#cluster = cluster;
    this.#space = space;
    this.#now = now;
  }

  /** Removes some of what has expired. True: there may be more. Throws TableError. */
  async step(deadline: number): Promise<boolean> {
    const now = this.#now();
    const { results } = await this.#cluster.repeatable({
      success: [
        { type: "get", ...this.#space.expiredBy(now), limit: HINTS_MAX, keysOnly: true },
        { type: "get", ...this.#space.expiries, limit: 1, keysOnly: true },
      ],
    }, deadline);
    const hints = results[0]!.kvs.map((kv) => ({ ...kv, ...this.#space.hintOf(kv.key) }));
    this.mayExpire = results[1]!.count > 0;
    if (hints.length === 0) return false;
    const places = hints.map((hint) => this.#space.entry(hint.expiryOf));
    const entries = await this.#cluster.repeatable({
      success: places.map((key) => ({ type: "get", key })),
    }, deadline);
    const compare: Compare[] = [];
    const ops: Delete[] = [];
    let removed = 0;
    const seen = new Set<string>();
    for (const [i, hint] of hints.entries()) {
      const key = places[i]!;
      const found = entries.results[i]!.kvs[0];
      compare.push({ key: hint.key, modRevision: hint.modRevision });
      ops.push({ type: "delete", key: hint.key });
      if (seen.has(hint.expiryOf)) continue; // A transaction takes no key twice.
      seen.add(hint.expiryOf);
      compare.push({ key, modRevision: found?.modRevision ?? 0 });
      const expiresAt = found && decodeEntry(found.value)?.expiresAt;
      if (typeof expiresAt !== "number" || expiresAt > now) continue;
      ops.push({ type: "delete", key });
      removed++;
    }
    try {
      const { succeeded } = await this.#cluster.once({ compare, success: ops }, deadline);
      if (succeeded) this.removed += removed;
    } catch (error) {
      // It compares what it removes, so it may be tried again.
      if (!(error instanceof UncertainError) && !(error instanceof NotReachedError)) throw error;
    }
    return true;
  }
}
