/**
 * The connected clients. Connections add those of their sessions; CLIENTS lists them, and KILL disconnects
 * one.
 *
 * @module
 */

import type { Client, ClientPage, ConnectedClients } from "../command.ts";
import { logEvent } from "../observe/event_log.ts";

/** How often the rates of all clients are measured, in seconds. */
const RATE_SECONDS = 2;

/** A client with its rate, and how many of its requests had been answered when that was measured. */
interface Listed {
  readonly client: Client;
  measured: number;
  rate: number;
}

/** The clients that are connected. */
export class Clients implements ConnectedClients {
  /** By their numbers, in the order in which they came. */
  readonly #clients = new Map<number, Listed>();
  #last = 0;

  /** Measures the rates of clients from now on, without keeping the process alive. */
  start(): this {
    Deno.unrefTimer(setInterval(() => this.measure(RATE_SECONDS), RATE_SECONDS * 1_000));
    return this;
  }

  /** Measures the rates of clients since the last time, which was this many seconds ago. */
  measure(seconds: number): void {
    for (const listed of this.#clients.values()) {
      const { client, measured } = listed;
      listed.rate = (client.requests - measured) / seconds;
      listed.measured = client.requests;
    }
  }

  /** A number for the next client: no two clients get the same one. */
  nextId(): number {
    return ++this.#last;
  }

  /** Adds a client that has connected. */
  add(client: Client): void {
    this.#clients.set(client.id, { client, measured: 0, rate: 0 });
  }

  /** Removes a client that has disconnected. */
  remove({ id }: Client): void {
    this.#clients.delete(id);
  }

  /** How many requests of the client with this number were answered a second, of late. */
  rateOf(id: number): number {
    return this.#clients.get(id)?.rate ?? 0;
  }

  /** Disconnects the client with this number, at another client's request. False if there is none. */
  end(id: number, by: Client): boolean {
    const client = this.#clients.get(id)?.client;
    if (client === undefined) return false;
    logEvent("info", "A client was killed", { id, address: client.address, by: by.address });
    client.end();
    return true;
  }

  /** Those with a number above `after`, at most `limit`. */
  page(after: number, limit: number): ClientPage {
    const clients: Client[] = [];
    for (const { client } of this.#clients.values()) {
      if (client.id <= after) continue;
      if (clients.length === limit) return { clients, hasMore: true };
      clients.push(client);
    }
    return { clients, hasMore: false };
  }
}
