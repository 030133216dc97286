/**
 * A client without a socket: its session answers over an array, which takes replies at once, or none.
 *
 * @module
 */

import { Outbox } from "../../server/dispatch/outbox.ts";
import type { RequestContext } from "../../server/dispatch/request.ts";
import { Session } from "../../server/dispatch/session.ts";
import type { Lines } from "../../server/input/lines.ts";
import type { Reply } from "../../server/reply.ts";

/** What an ArrayClient may be given; the rest is as for a client that reads whatever it gets. */
export interface ArrayClientOptions {
  /** How many bytes of replies wait for it at most, where it takes none. */
  readonly roomMax?: number;
}

/** A session that has given the password, and what has become of its requests. */
export class ArrayClient extends Session {
  /** The bytes that it got. */
  readonly received: string[] = [];
  /** How many of its lines found no place in the last turn. */
  left = 0;
  /** Whether it was sent away. */
  isGone = false;

  /** A client of this server. */
  constructor(services: Omit<RequestContext, "client">, { roomMax }: ArrayClientOptions = {}) {
    const decoder = new TextDecoder();
    const sink = {
      write: (bytes: Uint8Array): Promise<number> => {
        this.received.push(decoder.decode(bytes));
        return roomMax === undefined ? Promise.resolve(bytes.length) : new Promise(() => {});
      },
    };
    const recipient = { onProgress() {}, close: () => void (this.isGone = true) };
    const outbox = new Outbox(sink, { recipient, bytesMax: roomMax ?? Infinity });
    super({ services, outbox });
  }

  override release(rest: Lines | undefined, failure?: Reply): void {
    this.left = rest?.count ?? 0;
    super.release(rest, failure);
  }

  /** Its replies, of one line each, without their ends. */
  get replies(): string[] {
    return this.received.join("").split("\r\n").slice(0, -1);
  }
}
