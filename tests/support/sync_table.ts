/**
 * A table that lives in an engine as if it were one of this process: each method waits until it is done, so that
 * the suite over all tables can try it. The table lives in a worker; the test waits for it as a lock is waited for.
 *
 * @module
 */

import type { Clock, Entry, KeyPage, Page, Table, TableView } from "../../tables/table.ts";
import { NO_EXPIRY, TableError } from "../../tables/table.ts";
import { Text, type TextLike } from "../../tables/text.ts";

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
type Answer = { readonly value?: unknown } | { readonly error: string };

/** The place where both meet: whether the answer is there, its length, and the answer. */
interface Meeting {
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** Lays the two parts out in shared memory. */
function meetingIn(memory: SharedArrayBuffer): Meeting {
  return { state: new Int32Array(memory, 0, 2), bytes: new Uint8Array(memory, 8) };
}

/** A worker that has one table at a time: to load an engine's client takes longer than most tests do. */
export class TableWorker implements Disposable {
  readonly #worker: Worker;
  readonly #meeting: Meeting;

  constructor(url: URL) {
    const memory = new SharedArrayBuffer(ANSWER_BYTES_MAX + 8);
    this.#meeting = meetingIn(memory);
    this.#worker = new Worker(url, { type: "module" });
    this.#worker.postMessage(memory);
  }

  /** Carries out a call, and waits until it is done. Throws what it throws there. */
  call(call: Call): unknown {
    const { state, bytes } = this.#meeting;
    Atomics.store(state, 0, 0);
    this.#worker.postMessage(call);
    // The notice of the last answer may come after this call was made: only the state tells.
    while (Atomics.load(state, 0) === 0) {
      if (Atomics.wait(state, 0, 0, WAIT_MS) === "timed-out") {
        throw new Error(`${call.method} never ends`);
      }
    }
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.slice(0, state[1]));
    const answer = JSON.parse(text) as Answer;
    if ("error" in answer) throw new TableError(answer.error);
    return answer.value;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** A table whose methods wait. */
export class SyncTable implements Table {
  readonly location = "a worker";
  readonly #worker: TableWorker;
  readonly #now: Clock;

  /** Has a worker open the table: `where` is what its method `open` takes. */
  constructor(worker: TableWorker, { where, now }: { where: unknown; now: Clock }) {
    this.#worker = worker;
    this.#now = now;
    this.#call("open", where);
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
  }

  #call(method: string, ...args: unknown[]): unknown {
    return this.#worker.call({ method, args, now: this.#now() });
  }
}

/** The worker's side: carries out one call after another. */
export function serveCalls(carryOut: (call: Call) => unknown): void {
  const worker = globalThis as unknown as {
    onmessage: ((event: MessageEvent) => void) | null;
  };
  const answerTo = async (call: Call): Promise<Answer> => {
    try {
      return { value: await carryOut(call) };
    } catch (error) {
      return { error: String((error as Error).stack) };
    }
  };
  worker.onmessage = ({ data: memory }) => {
    const { state, bytes } = meetingIn(memory as SharedArrayBuffer);
    worker.onmessage = async ({ data }) => {
      const encoded = new TextEncoder().encode(JSON.stringify(await answerTo(data as Call)));
      bytes.set(encoded);
      state[1] = encoded.length;
      Atomics.store(state, 0, 1);
      Atomics.notify(state, 0);
    };
  };
}

/** Carries out a call of a method of the table as handlers see it. */
export function callView(view: TableView, { method, args: [first, second, third] }: Call): unknown {
  switch (method) {
    case "entry": {
      const entry = view.entry(first as string);
      return entry && { ...entry, value: String(entry.value) };
    }
    case "put":
      return view.put(first as string, second as string, third as Pick<Entry, "expiresAt">);
    case "expire":
      return view.expire(first as string, second as number | null);
    case "delete":
      return view.delete(first as string);
    case "clear":
      return view.clear();
    case "count":
      return view.count();
    case "keys":
      return view.keys(first as Page);
    case "mark":
      return view.mark();
    case "undo":
      return view.undo(first as number);
    case "stats":
      return view.stats();
  }
  throw new Error(`no method ${method}`);
}
