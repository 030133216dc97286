/**
 * Tests with a client of a fake server, and the scripts by which that server fails.
 *
 * @module
 */

import { type KeylineError } from "../../client/client.ts";
import { testWith } from "../support/harness.ts";
import { type FakeClient, FakeServer } from "./fake_server.ts";

/** What a fake server does on one connection. */
export type Script = (client: FakeClient) => Promise<void>;

/** Defines a test with a fake server that serves each connection by the next of the scripts. */
export function faultTest(
  name: string,
  scripts: Script[],
  fn: (server: FakeServer) => Promise<void>,
): void {
  testWith(["net"], name, async () => {
    await using server = new FakeServer(...scripts);
    await fn(server);
  });
}

/** Greets, then answers everything with OK. */
export const serve: Script = async (client) => {
  await client.greet();
  await client.answerAll("200 OK v\r\n");
};

/** Greets, takes one line, and hangs up. */
export const breakOff: Script = async (client) => {
  await client.greet();
  await client.line();
};

/** Greets, answers the first line with this, whatever it asks, and waits for the client to leave. */
export function answerWith(data: string | Uint8Array): Script {
  return async (client) => {
    await client.greet();
    await client.line();
    await client.send(data);
    while (await client.line() !== undefined);
  };
}

/** What a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<KeylineError> {
  return await promise.then(() => {
    throw new Error("it was fulfilled");
  }, (error) => error);
}
