/**
 * The connections of the admin port: so many at a time, and a new one takes the place of the one that was
 * used longest ago. So whoever opens many shuts out no probe, which asks at once and is answered at once.
 *
 * @module
 */

import type { Socket } from "node:net";

/** How many connections there may be at a time, beside those of watchers. */
const CONNECTIONS_MAX = 32;

/** The places of one port. */
export class Places {
  /** In the order of their last use. */
  readonly #sockets = new Set<Socket>();

  /** Gives a place to a connection that is new, or that is used again. */
  take(socket: Socket): void {
    if (!this.#sockets.delete(socket)) {
      socket.once("close", () => this.#sockets.delete(socket));
      const [oldest] = this.#sockets;
      if (this.#sockets.size >= CONNECTIONS_MAX) oldest!.destroy();
    }
    if (!socket.destroyed) this.#sockets.add(socket);
  }

  /** Gives a connection's place to others, because something else bounds it, until it takes one again. */
  leave(socket: Socket): void {
    this.#sockets.delete(socket);
  }
}
