/**
 * The connections of the admin port: their number is limited, and a new one replaces the least recently used
 * one. So a client that opens many can't shut out a probe, which asks at once and is answered at once.
 *
 * @module
 */

import type { Socket } from "node:net";

/** How many connections there may be at a time, besides those of watchers. */
const CONNECTIONS_MAX = 32;

/** The limit of one port. */
export class ConnectionLimit {
  /** In the order of their last use. */
  readonly #sockets = new Set<Socket>();

  /** Gives a place to a connection that is new or used again. */
  take(socket: Socket): void {
    if (!this.#sockets.delete(socket)) {
      socket.once("close", () => this.#sockets.delete(socket));
      const [oldest] = this.#sockets;
      if (this.#sockets.size >= CONNECTIONS_MAX) oldest!.destroy();
    }
    if (!socket.destroyed) this.#sockets.add(socket);
  }

  /** Gives up a connection's place, because another limit applies to it, until it takes one again. */
  leave(socket: Socket): void {
    this.#sockets.delete(socket);
  }
}
