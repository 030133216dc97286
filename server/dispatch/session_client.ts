/**
 * What a session knows about its client. It is a class, not an object literal: with getters of its own, each
 * object would have a shape of its own, and counting a request would cost the engine a search.
 *
 * @module
 */

import type { Access, Client } from "../command.ts";
import type { Outbox } from "./outbox.ts";

/** Who is at the other end of a connection. */
export interface Peer {
  /** Its number: no two get the same one. */
  readonly id: number;
  /** Its address and port; undefined if unknown. */
  readonly address: string | undefined;
  /** How long ago its last requests were answered, in milliseconds; 0 while some are being answered. */
  readonly idle: number;
}

/** The client of a session. */
export class SessionClient implements Client {
  access: Access | undefined;
  wrongPasswords = 0;
  readonly since: number;
  requests = 0;
  bytesReceived = 0;
  bytesSent = 0;
  readonly #outbox: Outbox;
  readonly #peer: Peer | undefined;

  /** A client that connected at this time, in milliseconds since 1970. */
  constructor(
    { access, since, outbox, peer }: {
      access: Access | undefined;
      since: number;
      outbox: Outbox;
      peer: Peer | undefined;
    },
  ) {
    this.access = access;
    this.since = since;
    this.#outbox = outbox;
    this.#peer = peer;
  }

  get id(): number {
    return this.#peer?.id ?? 0;
  }

  get address(): string | undefined {
    return this.#peer?.address;
  }

  get idle(): number {
    return this.#peer?.idle ?? 0;
  }

  get bytesWaiting(): number {
    return this.#outbox.size;
  }

  end(): void {
    this.#outbox.abort();
  }
}
