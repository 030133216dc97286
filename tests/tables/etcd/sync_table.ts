/**
 * A table in etcd as if it were one of this process: each method waits until it is done, so that the
 * suite over all tables can try it. The table lives in a worker; the test waits for it as a lock is
 * waited for.
 *
 * @module
 */

import type { Clock, Entry, KeyPage, Page, Table } from "../../../tables/table.ts";
import { NO_EXPIRY, TableError } from "../../../tables/table.ts";
import { Text, type TextLike } from "../../../tables/text.ts";

/** The size of what a method takes or returns, in bytes, at most. */
const ANSWER_BYTES_MAX = 8_388_608;
const WAIT_MS = 60_000;

/** What is sent to the worker. */
export interface Call {
  readonly method: string;
  readonly args: readonly unknown[];
  /** The time of the test's clock. */
  readonly now: number;
}

/** What comes back. */
export type Answer = { readonly value?: unknown } | { readonly error: string };

/** The place where both meet: whether the answer is there, its length, and the answer. */
export interface Meeting {
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** Lays the two parts out in shared memory. */
export function meetingIn(memory: SharedArrayBuffer): Meeting {
  return { state: new Int32Array(memory, 0, 2), bytes: new Uint8Array(memory, 8) };
}

/** A table in etcd whose methods wait. */
export class SyncEtcdTable implements Table {
  readonly location = "etcd";
  readonly #worker: Worker;
  readonly #meeting: Meeting;
  readonly #now: Clock;

  constructor({ nodes, prefix, now }: { nodes: readonly string[]; prefix: string; now: Clock }) {
    this.#now = now;
    const memory = new SharedArrayBuffer(ANSWER_BYTES_MAX + 8);
    this.#meeting = meetingIn(memory);
    this.#worker = new Worker(new URL("sync_table_worker.ts", import.meta.url), { type: "module" });
    this.#worker.postMessage(memory);
    this.#call("open", { nodes, prefix });
  }

  get(key: TextLike): Text | undefined {
    return this.entry(key)?.value;
  }

  prefetch(): void {}

  entry(key: TextLike): Entry | undefined {
    const entry = this.#call("entry", String(key)) as (Entry & { value: string }) | undefined;
    return entry && { ...entry, value: Text.of(entry.value) };
  }

  put(key: TextLike, value: TextLike, { expiresAt } = NO_EXPIRY): number {
    return this.#call("put", String(key), String(value), { expiresAt }) as number;
  }

  expire(key: TextLike, expiresAt: number | null): boolean {
    return this.#call("expire", String(key), expiresAt) as boolean;
  }

  delete(key: TextLike): void {
    this.#call("delete", String(key));
  }

  clear(): void {
    this.#call("clear");
  }

  count(): number {
    return this.#call("count") as number;
  }

  keys({ prefix, after, limit }: Page): KeyPage {
    return this.#call("keys", { prefix: String(prefix), after: String(after), limit }) as KeyPage;
  }

  commit(): boolean {
    return this.#call("commit") as boolean;
  }

  mark(): number {
    return this.#call("mark") as number;
  }

  undo(mark: number): void {
    this.#call("undo", mark);
  }

  maintain(): boolean {
    return this.#call("maintain") as boolean;
  }

  stats(): Record<string, number> {
    return this.#call("stats") as Record<string, number>;
  }

  close(): void {
    this.#call("close");
    this.#worker.terminate();
  }

  #call(method: string, ...args: unknown[]): unknown {
    const { state, bytes } = this.#meeting;
    Atomics.store(state, 0, 0);
    this.#worker.postMessage({ method, args, now: this.#now() } satisfies Call);
    // The notice of the last answer may come after this call was made: only the state tells.
    while (Atomics.load(state, 0) === 0) {
      if (Atomics.wait(state, 0, 0, WAIT_MS) === "timed-out") {
        throw new Error(`${method} never ends`);
      }
    }
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.slice(0, state[1]));
    const answer = JSON.parse(text) as Answer;
    if ("error" in answer) throw new TableError(answer.error);
    return answer.value;
  }
}
