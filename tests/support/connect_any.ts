/**
 * How a client under load finds a server, while some of them are down.
 *
 * @module
 */

import { Client } from "./client.ts";
import { delay } from "./waiting.ts";

/** How long to wait after a server that can't be reached, in milliseconds. */
const RECONNECT_MS = 50;

/** A connection to one of these servers; undefined, a moment later, if that one is down or there are none. */
export async function connectToAny(
  servers: readonly { readonly port: number }[],
  random: () => number,
): Promise<Client | undefined> {
  const server = servers[Math.floor(random() * servers.length)];
  try {
    if (server !== undefined) return await Client.connect(server.port);
  } catch {
    // It is down: another one, a little later.
  }
  await delay(RECONNECT_MS);
  return undefined;
}
