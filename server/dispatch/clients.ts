/**
 * Who is connected. Connections add their sessions' clients; CLIENTS lists them and KILL ends one.
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

  /** A number for the next client: none is given twice. */
  nextId(): number {
    return ++this.#last;
  }

  /** Adds a client that has come. */
  add(client: Client): void {
    this.#clients.set(client.id, client);
  }

  /** Removes a client that has gone. */
  remove({ id }: Client): void {
    this.#clients.delete(id);
  }

  /** Ends the client with this number, as another one has asked for. False if there is none. */
  end(id: number, by: Client): boolean {
    const client = this.#clients.get(id);
    if (client === undefined) return false;
    logEvent("info", "A client was killed", { address: client.address, by: by.address });
    client.end();
    return true;
  }

  /** Those with a number above `after`, so many at most. */
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
