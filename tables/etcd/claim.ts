/**
 * A claim to the next entry of the log in etcd, so that a fast server can't starve a slow one. A server whose
 * entry has come too late claims the next one, in the same transaction in which it comes too late again;
 * other servers append nothing while they see another's claim.
 *
 * Claims serve fairness alone: a claim that is lost, duplicated or stale costs time and nothing else.
 *
 * @module
 */

import type { Bytes, Compare, KeyValue, Op, OpResult } from "./messages.ts";

/** After this time another server's claim no longer counts, in milliseconds: it may have died. */
const CLAIM_MS = 250;

/** The claim as one server knows it. */
export class Claim {
  readonly #key: Bytes;
  readonly #value: Bytes;
  /** The claim that stood when the server last looked. */
  #standing:
    | { readonly revision: number; readonly isOwn: boolean; readonly until: number }
    | undefined;
  /** Whether the next attempt is to make a claim if it comes too late. */
  #isDue = false;

  /** `key` is where the claim is; `server` tells ours from others. */
  constructor(key: Bytes, server: string) {
    this.#key = key;
    this.#value = new TextEncoder().encode(server);
  }

  /** Whether another server claims the next entry. */
  get isForeign(): boolean {
    return this.#standing !== undefined && !this.#mayIgnore;
  }

  /** What an entry compares: that no other server has a claim. */
  compare(): Compare {
    return { key: this.#key, modRevision: this.#mayIgnore ? this.#standing!.revision : 0 };
  }

  /** What goes with an appended entry: the claim is used up. */
  onSuccess(): Op[] {
    return this.#mayIgnore ? [{ type: "delete", key: this.#key }] : [];
  }

  /** What to do if it is not appended. */
  onFailure(): Op[] {
    const look: Op = { type: "get", key: this.#key };
    return this.#isDue ? [look, { type: "put", key: this.#key, value: this.#value }] : [look];
  }

  /** Notes that an entry was appended. */
  noteSuccess(): void {
    this.#standing = undefined;
    this.#isDue = false;
  }

  /** Notes that it was not appended, with the result of the look and the revision of the transaction. */
  noteFailure({ kvs: [found] }: OpResult, revision: number): void {
    if (this.#isDue) this.#standing = { revision, isOwn: true, until: 0 };
    else this.#look(found);
    this.#isDue = this.#standing === undefined;
  }

  /** What gives up our own claim; undefined if there is none. */
  release(): { compare: Compare[]; success: Op[] } | undefined {
    const standing = this.#standing;
    this.noteSuccess();
    if (standing?.isOwn !== true) return undefined;
    return {
      compare: [{ key: this.#key, modRevision: standing.revision }],
      success: [{ type: "delete", key: this.#key }],
    };
  }

  get #mayIgnore(): boolean {
    const standing = this.#standing;
    return standing !== undefined && (standing.isOwn || performance.now() > standing.until);
  }

  #look(found: KeyValue | undefined): void {
    if (found === undefined) {
      this.#standing = undefined;
    } else if (found.modRevision !== this.#standing?.revision) {
      const isOwn = found.value.length === this.#value.length &&
        found.value.every((byte, i) => byte === this.#value[i]);
      const until = performance.now() + CLAIM_MS;
      this.#standing = { revision: found.modRevision, isOwn, until };
    }
  }
}
