/**
 * Tests with a client of a real server.
 *
 * @module
 */

import { type Client, connect } from "../../client/client.ts";
import { ServerProcess, testServer } from "../support/harness.ts";

/** Defines a test with a client of a server that keeps its table in memory. */
export function clientTest(
  name: string,
  fn: (db: Client, server: ServerProcess) => Promise<void>,
): void {
  testServer(name, async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    await using db = await connect({ port: server.port });
    await fn(db, server);
  });
}
