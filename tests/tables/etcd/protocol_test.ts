/**
 * Every case of the protocol, to servers whose table is in etcd.
 *
 * @module
 */

import { EtcdCluster } from "../../support/etcd.ts";
import { ServerProcess, testWithProgram } from "../../support/harness.ts";
import { playOverSockets } from "../../support/protocol_collection.ts";

testWithProgram("etcd", "every case of the protocol holds where the table is in etcd", async () => {
  await using cluster = await EtcdCluster.start();
  // A prefix for each server, because their cases run at the same time and clear their tables.
  const tableOf = (name: string) => cluster.url(name.replaceAll(" ", "-"));
  await playOverSockets(
    (name, options) => ServerProcess.start({ ...options, table: tableOf(name) }),
    tableOf,
  );
});
