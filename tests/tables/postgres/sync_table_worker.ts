/**
 * The worker's side of a `SyncTable` in PostgreSQL: it has the table, and carries out one call after another. All
 * calls between two commits are one turn, which keeps others from writing: so each of them sees all before it.
 *
 * @module
 */

import { PostgresTable } from "../../../tables/postgres/postgres_table.ts";
import { parseLocation } from "../../../tables/postgres/location.ts";
import { type Call, callView, serveCalls } from "../../support/sync_table.ts";

/** How long the engine may take; nothing is ever lost here. */
const TIMEOUT_MS = 20_000;

let table: PostgresTable;
let now = 0;
const client = {};
const deadline = () => Date.now() + TIMEOUT_MS;

serveCalls(async (call) => {
  ({ now } = call);
  switch (call.method) {
    case "open":
      table = await PostgresTable.open({
        ...parseLocation(call.args[0] as string),
        ...{ timeout: TIMEOUT_MS, password: undefined, tls: undefined, now: () => now },
      });
      return table.keepOthersOut();
    case "close":
      return table.close();
    case "maintain": {
      if (table.view.isChanged) return true;
      table.end();
      const isMore = await table.sweep(deadline());
      table.keepOthersOut();
      return isMore;
    }
    case "commit":
      return await commit();
  }
  return await request(call);
});

/** Runs a call as a turn runs a request. */
async function request(call: Call): Promise<unknown> {
  const { view } = table;
  view.setNow(now);
  for (;;) {
    const mark = view.mark();
    view.begin(client);
    let result: unknown;
    let failure: unknown;
    try {
      result = callView(view, call);
    } catch (error) {
      failure = error;
    }
    const standing = view.end();
    if (standing === "done") {
      if (failure !== undefined) throw failure;
      return result;
    }
    view.undo(mark);
    if (standing !== "unread") throw new Error(`a request that stands ${standing}`);
    await table.read(deadline());
  }
}

/** Commits as a turn does, and begins the next one. */
async function commit(): Promise<boolean> {
  const { isChanged } = table.view;
  if (!await table.commit(deadline())) throw new Error("a conflict");
  table.end();
  table.keepOthersOut();
  return isChanged;
}
