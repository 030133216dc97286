/**
 * The connected clients. Connections add those of their sessions; CLIENTS lists them, and KILL disconnects
 * one.
 *
 * @module
 */

import type { Client, ClientPage, ConnectedClients } from "../command.ts";
import { logEvent } from "../observe/event_log.ts";

/** The clients that are connected. */
export class Clients implements ConnectedClients {
  /** By their numbers, in the order in which they came. */
  readonly #clients = new Map<number, Client>();
  #last = 0;

  /** A number for the next client: no two clients get the same one. */
  nextId(): number {
    return ++this.#last;
  }

  /** Adds a client that has connected. */
  add(client: Client): void {
    this.#clients.set(client.id, client);
  }

  /** Removes a client that has disconnected. */
  remove({ id }: Client): void {
    this.#clients.delete(id);
  }

  /** Disconnects the client with this number, at another client's request. False if there is none. */
  end(id: number, by: Client): boolean {
    const client = this.#clients.get(id);
    if (client === undefined) return false;
    logEvent("info", "A client was killed", { address: client.address, by: by.address });
    client.end();
    return true;
  }

  /** Those with a number above `after`, at most `limit`. */
  page(after: number, limit: number): ClientPage {
    const clients: Client[] = [];
    for (const client of this.#clients.values()) {
      if (client.id <= after) continue;
      if (clients.length === limit) return { clients, hasMore: true };
      clients.push(client);
    }
    return { clients, hasMore: false };
  }
}
