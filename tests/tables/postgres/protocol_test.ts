/**
 * Every case of the protocol, to servers whose table is in PostgreSQL.
 *
 * @module
 */

import { PostgresCluster, testWithPostgres } from "../../support/postgres.ts";
import { ServerProcess } from "../../support/harness.ts";
import { playOverSockets } from "../../support/protocol_collection.ts";

testWithPostgres("every case of the protocol holds where the table is in PostgreSQL", async () => {
  await using cluster = await PostgresCluster.start();
  // A table for each server, because their cases run at the same time and clear their tables.
  const tableOf = (name: string) => cluster.url(name.replaceAll(/\W/g, "_").toLowerCase());
  await playOverSockets(
    (name, options) => ServerProcess.start({ ...options, table: tableOf(name) }),
    tableOf,
  );
});
