/**
 * The worker's side of a `SyncTable` in etcd: it has the table, and carries out one call after another.
 *
 * @module
 */

import { EtcdTable } from "../../../tables/etcd/etcd_table.ts";
import { callView, serveCalls } from "../../support/sync_table.ts";

/** How long the engine may take; nothing is ever lost here. */
const TIMEOUT_MS = 20_000;
/** So low that most tests write several snapshots, of several parts. */
const LIMITS = { logBytesMin: 2_000, logEntriesMax: 20, chunkBytes: 1_000 };

let table: EtcdTable;
let now = 0;

serveCalls((call) => {
  ({ now } = call);
  switch (call.method) {
    case "open":
      return open(call.args[0] as { nodes: string[]; prefix: string });
    case "close":
      return table.close();
    case "maintain":
      return table.maintain();
    case "commit":
      return commit();
  }
  return callView(table.replica, call);
});

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
