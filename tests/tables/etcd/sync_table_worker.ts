/**
 * The worker's side of `sync_table.ts`: it has the table, and carries out one call after another.
 *
 * @module
 */

import { EtcdTable } from "../../../tables/etcd/etcd_table.ts";
import type { Entry, Page } from "../../../tables/table.ts";
import { type Call, meetingIn } from "./sync_table.ts";

/** How long the engine may take; nothing is ever lost here. */
const TIMEOUT_MS = 20_000;
/** So low that most tests write several snapshots, of several parts. */
const LIMITS = { logBytesMin: 2_000, logEntriesMax: 20, chunkBytes: 1_000 };

let table: EtcdTable;
let now = 0;

const worker = globalThis as unknown as {
  onmessage: ((event: MessageEvent) => void) | null;
};

worker.onmessage = ({ data: memory }) => {
  const { state, bytes } = meetingIn(memory as SharedArrayBuffer);
  worker.onmessage = async ({ data }) => {
    const answer = await answerTo(data as Call);
    const encoded = new TextEncoder().encode(JSON.stringify(answer));
    bytes.set(encoded);
    state[1] = encoded.length;
    Atomics.store(state, 0, 1);
    Atomics.notify(state, 0);
  };
};

async function answerTo(call: Call): Promise<{ value?: unknown } | { error: string }> {
  ({ now } = call);
  try {
    return { value: await carryOut(call) };
  } catch (error) {
    return { error: String((error as Error).stack) };
  }
}

function carryOut({ method, args: [first, second, third] }: Call): unknown {
  switch (method) {
    case "open":
      return open(first as { nodes: string[]; prefix: string });
    case "close":
      return table.close();
    case "maintain":
      return table.maintain();
    case "commit":
      return commit();
  }
  const { replica } = table;
  switch (method) {
    case "entry": {
      const entry = replica.entry(first as string);
      return entry && { ...entry, value: String(entry.value) };
    }
    case "put":
      return replica.put(first as string, second as string, third as Pick<Entry, "expiresAt">);
    case "expire":
      return replica.expire(first as string, second as number | null);
    case "delete":
      return replica.delete(first as string);
    case "clear":
      return replica.clear();
    case "count":
      return replica.count();
    case "keys":
      return replica.keys(first as Page);
    case "mark":
      return replica.mark();
    case "undo":
      return replica.undo(first as number);
    case "stats":
      return replica.stats();
  }
  throw new Error(`no method ${method}`);
}

async function open(location: { nodes: string[]; prefix: string }): Promise<void> {
  table = await EtcdTable.open({
    ...location,
    timeout: TIMEOUT_MS,
    now: () => now,
    limits: LIMITS,
  });
}

/** Commits as a turn does, and begins the next one. */
async function commit(): Promise<boolean> {
  const deadline = Date.now() + TIMEOUT_MS;
  const { isChanged } = table.replica;
  if (!await table.commit(deadline)) throw new Error("a conflict");
  await table.begin(deadline);
  return isChanged;
}
