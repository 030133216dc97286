/**
 * The worker's side of `sync_table.ts`: it has the table and one snapshot at a time, and carries out one
 * call after another.
 *
 * @module
 */

import { EtcdTable, type Snapshot } from "../../../tables/etcd/etcd_table.ts";
import { type Entry, NotFetchedError, type Page } from "../../../tables/table.ts";
import { type Call, meetingIn } from "./sync_table.ts";

/** How long the engine may take; nothing is ever lost here. */
const TIMEOUT_MS = 20_000;

let table: EtcdTable;
let snapshot: Snapshot | undefined;
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
  // A turn runs as soon as it has fetched; here the clock may have been moved since.
  if (call.now !== now) snapshot?.fetched.forget();
  ({ now } = call);
  try {
    return { value: await carryOut(call) };
  } catch (error) {
    return { error: String((error as Error).stack) };
  }
}

async function carryOut({ method, args: [first, second, third] }: Call): Promise<unknown> {
  const deadline = Date.now() + TIMEOUT_MS;
  switch (method) {
    case "open":
      table = await EtcdTable.open({
        ...first as { nodes: string[]; prefix: string },
        timeout: TIMEOUT_MS,
        now: () => now,
      });
      return begin();
    case "close":
      return await table.close();
    case "maintain":
      return await table.maintain(deadline);
    case "commit": {
      const { isChanged } = snapshot!;
      if (isChanged && !await table.commit(snapshot!, deadline)) throw new Error("a conflict");
      begin();
      return isChanged;
    }
  }
  const current = snapshot!;
  const run = (): unknown => {
    switch (method) {
      case "entry": {
        const entry = current.entry(first as string);
        return entry && { ...entry, value: String(entry.value) };
      }
      case "put":
        return current.put(first as string, second as string, third as Pick<Entry, "expiresAt">);
      case "expire":
        return current.expire(first as string, second as number | null);
      case "delete":
        return current.delete(first as string);
      case "clear":
        return current.clear();
      case "count":
        return current.count();
      case "keys":
        return current.keys(first as Page);
      case "mark":
        return current.mark();
      case "undo":
        return current.undo(first as number);
      case "stats":
        return current.stats();
    }
    throw new Error(`no method ${method}`);
  };
  for (;;) {
    const mark = current.mark();
    try {
      return run();
    } catch (error) {
      if (!(error instanceof NotFetchedError)) throw error;
      current.undo(mark);
      await table.fetch(current, deadline);
    }
  }
}

function begin(): void {
  snapshot = table.begin();
}
