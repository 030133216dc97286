/**
 * Commits whose answer is lost: at whatever moment that happens, the table finds out whether the turn took place, so
 * that nothing is done twice and nothing that was acknowledged is missing.
 *
 * `KEYLINE_POSTGRES_SEED` sets which answers are lost.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { parseLocation } from "../../../tables/postgres/location.ts";
import { LostError, UncertainError } from "../../../tables/postgres/outcome.ts";
import { PostgresTable, type Send } from "../../../tables/postgres/postgres_table.ts";
import { MARKED } from "../../../tables/postgres/statements.ts";
import { numberFrom } from "../../support/harness.ts";
import { PostgresCluster, testWithPostgres } from "../../support/postgres.ts";
import { randomFrom } from "../etcd/workload.ts";

const SEED = numberFrom("KEYLINE_POSTGRES_SEED", Date.now() % 1_000_000_000);
const TURNS = 80;
const TIMEOUT_MS = 5_000;

type Loss = "none" | "before" | "after" | "while";

async function openTable(
  cluster: PostgresCluster,
  { name, lossOf, timeout = TIMEOUT_MS }: { name: string; lossOf: () => Loss; timeout?: number },
): Promise<PostgresTable> {
  const wrap = (send: Send): Send => async (session, statements, deadline) => {
    const isCommit = statements.some(({ name }) => name?.endsWith(MARKED));
    const loss = isCommit ? lossOf() : "none";
    const lost = statements.map(() => ({ error: new LostError("lost") }));
    if (loss === "none") return await send(session, statements, deadline);
    // The statements are under way: the table looks for their outcome while they run.
    if (loss === "while") send(session, statements, deadline);
    if (loss === "while") await new Promise((resolve) => setTimeout(resolve, 0));
    if (loss === "after") await send(session, statements, deadline);
    session.close();
    return lost;
  };
  const location = parseLocation(cluster.url(name));
  return await PostgresTable.open({
    ...location,
    ...{ timeout, password: undefined, tls: undefined, wrap },
  });
}

/** A turn of one request, which adds one to a number. */
async function add(table: PostgresTable): Promise<number> {
  const deadline = Date.now() + TIMEOUT_MS;
  const { view } = table;
  const client = {};
  for (;;) {
    view.want("n", { client, needsValue: true, changes: true });
    await table.read(deadline);
    view.undoTurn();
    let sum = 0;
    for (;;) {
      view.begin(client);
      const mark = view.mark();
      try {
        sum = Number(view.get("n") ?? 0) + 1;
        view.put("n", String(sum));
      } catch {
        // It has asked for what was not read.
      }
      if (view.end() === "done") break;
      view.undo(mark);
      await table.read(deadline);
    }
    if (!await table.commit(deadline)) continue;
    table.end();
    return sum;
  }
}

testWithPostgres("a turn whose answer is lost takes place once", async () => {
  await using cluster = await PostgresCluster.start();
  console.log(`KEYLINE_POSTGRES_SEED=${SEED}`);
  const random = randomFrom(SEED);
  const lost = new Map<Loss, number>();
  const lossOf = (): Loss => {
    const loss = (["none", "before", "after", "while"] as const)[Math.floor(random() * 4)]!;
    lost.set(loss, (lost.get(loss) ?? 0) + 1);
    return loss;
  };
  const table = await openTable(cluster, { name: "settle", lossOf });
  try {
    for (let i = 1; i <= TURNS; i++) assertEquals(await add(table), i);
    assertEquals((await cluster.primary.sql("SELECT value FROM settle")).stdout, `${TURNS}`);
    assertEquals((await cluster.primary.sql("SELECT sum(keys) FROM settle_servers")).stdout, "1");
    for (const loss of ["before", "after", "while"] as const) assert(lost.get(loss)! > 0, loss);
  } finally {
    table.close();
  }
});

testWithPostgres("a turn that can't be settled is in doubt, and not answered", async () => {
  await using cluster = await PostgresCluster.start();
  let isLost = false;
  const timeout = 1_000;
  const table = await openTable(cluster, {
    name: "doubt",
    timeout,
    lossOf() {
      if (isLost) cluster.primary.signal("SIGSTOP");
      return isLost ? "while" : "none";
    },
  });
  try {
    assertEquals(await add(table), 1);
    isLost = true;
    await assertRejects(() => add(table), UncertainError);
    table.end();
    cluster.primary.signal("SIGCONT");
    isLost = false;
    const sum = await add(table);
    assert(sum === 2 || sum === 3, `${sum}`);
  } finally {
    table.close();
  }
});
