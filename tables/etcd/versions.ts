/**
 * The versions that GETS shows and CAS compares. They must be known before a commit and never be given
 * twice, over all servers and for good; so each server takes a block of numbers from the engine, and what
 * it does not use is lost.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { type Cluster, UncertainError } from "./cluster.ts";

/** How many numbers a server takes at a time: 2^53 are enough for nine billion starts. */
const BLOCK = 1_000_000;
/** With fewer left, the next block is taken. */
const LEFT_MIN = BLOCK / 2;

/** The versions of one server. */
export class Versions {
  readonly #cluster: Cluster;
  readonly #key: Uint8Array<ArrayBuffer>;
  #next = 0;
  #end = 0;
  /** The block that follows, once it is there. */
  #following: { next: number; end: number } | undefined;
  #isTaking = false;

  /** `key` is where the engine has the first free number. */
  constructor(cluster: Cluster, key: Uint8Array<ArrayBuffer>) {
    this.#cluster = cluster;
    this.#key = key;
  }

  /** A version that nobody else has. */
  next(): number {
    if (this.#next === this.#end && this.#following !== undefined) {
      ({ next: this.#next, end: this.#end } = this.#following);
      this.#following = undefined;
    }
    if (this.#next === this.#end) throw new TableError("no version is left to give");
    return this.#next++;
  }

  /** Takes the next block in time, while others go on with what is left. */
  refill(timeout: number): void {
    if (this.#isTaking || this.#following !== undefined || this.#end - this.#next > LEFT_MIN) {
      return;
    }
    this.#isTaking = true;
    this.take(Date.now() + timeout)
      .catch(() => {}) // The next turn tries again.
      .finally(() => this.#isTaking = false);
  }

  /** Takes the next block. Throws TableError. */
  async take(deadline: number): Promise<void> {
    for (;;) {
      const get = { type: "get", key: this.#key } as const;
      const { results } = await this.#cluster.repeatable({ success: [get] }, deadline);
      const found = results[0]!.kvs[0];
      const next = found === undefined ? 1 : Number(new TextDecoder().decode(found.value));
      if (!Number.isSafeInteger(next + BLOCK)) {
        throw new TableError("the table's first free version is no number");
      }
      const end = next + BLOCK;
      const put = {
        type: "put",
        key: this.#key,
        value: new TextEncoder().encode(String(end)),
      } as const;
      try {
        const { succeeded } = await this.#cluster.once({
          compare: [{ key: this.#key, modRevision: found?.modRevision ?? 0 }],
          success: [put],
        }, deadline);
        if (!succeeded) continue; // Another server was faster.
      } catch (error) {
        // The block may be taken or not: nobody uses it.
        if (error instanceof UncertainError) continue;
        throw error;
      }
      this.#following = { next, end };
      return;
    }
  }
}
