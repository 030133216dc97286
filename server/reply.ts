/**
 * Replies, and the only place that has their texts. Handlers and `request.ts` make them with the functions
 * below; an outbox sends them.
 *
 * @module
 */

import { Text } from "../tables/text.ts";

/** The three digits by which a client decides (RFC 5321 section 4.2 has the same form). */
export type Code = 200 | 220 | 400 | 401 | 404 | 409 | 500 | 503;

const encoder = new TextEncoder();
/** What comes before a stored value in a reply. */
export const VALUE_HEAD: Uint8Array = encoder.encode("200 OK ");
/** What comes after it. */
export const VALUE_TAIL: Uint8Array = encoder.encode("\r\n");

/** What a reply consists of: a text, or a stored value. */
interface ReplyParts {
  readonly text?: string;
  readonly value?: Text;
  readonly last?: boolean;
}

/** The answer to a request: one line, or several. */
export class Reply {
  /** The three digits that it starts with. */
  readonly code: Code;
  /** The whole reply as bytes, with its last CR LF; undefined if it is a stored value. */
  readonly bytes: Uint8Array | undefined;
  /** The stored value, which goes between VALUE_HEAD and VALUE_TAIL. */
  readonly value: Text | undefined;
  /** Whether the connection ends once this reply is sent. */
  readonly last: boolean;

  /** A reply with either a whole text or a value. */
  constructor(code: Code, { text, value, last = false }: ReplyParts) {
    this.code = code;
    this.bytes = text === undefined ? undefined : encoder.encode(text);
    this.value = value;
    this.last = last;
  }

  /** How many bytes the whole reply has. */
  get length(): number {
    return this.value === undefined
      ? this.bytes!.length
      : VALUE_HEAD.length + this.value.length + VALUE_TAIL.length;
  }

  /** The whole reply as a string, with its last CR LF. */
  get wire(): string {
    return this.value === undefined
      ? Text.from(Uint8Array.from(this.bytes!)).toString()
      : `200 OK ${this.value}\r\n`;
  }
}

/** `200 OK`: the request is completed; its changes are durable when this leaves. */
export const okay: Reply = new Reply(200, { text: "200 OK\r\n" });

/** `200 OK`, then the connection ends. */
export const goodbye: Reply = new Reply(200, { text: "200 OK\r\n", last: true });

/** `220 UNSUPPORTED`: no operation has this verb. */
export const unsupported: Reply = new Reply(220, { text: "220 UNSUPPORTED\r\n" });

/** `401 UNAUTHORIZED`: a password is set and this connection has not given it. */
export const unauthorized: Reply = new Reply(401, { text: "401 UNAUTHORIZED\r\n" });

/** `404 NOT FOUND`: the key has no value. */
export const notFound: Reply = new Reply(404, { text: "404 NOT FOUND\r\n" });

/**
 * `200 OK <value>`. A value that a table has returned is sent from the table's own bytes, or copied from there:
 * reply with it before the table changes.
 */
export function ok(value: Text | string | number | bigint): Reply {
  return value instanceof Text
    ? new Reply(200, { value })
    : new Reply(200, { text: `200 OK ${value}\r\n` });
}

/** `200-<line>` for each line, then `200 OK`, or another last line (RFC 5321 section 4.2). */
export function okLines(lines: readonly string[], last: Reply = okay): Reply {
  return new Reply(200, { text: lines.map((line) => `200-${line}\r\n`).join("") + last.wire });
}

/** `400 BADREQUEST <why>`: recognised, but not well formed. */
export function badRequest(why: string): Reply {
  return new Reply(400, { text: `400 BADREQUEST ${why}\r\n` });
}

/** `409 CONFLICT <why>`: a condition did not hold, and nothing was changed. */
export function conflict(why: string): Reply {
  return new Reply(409, { text: `409 CONFLICT ${why}\r\n` });
}

/** `500 ERROR <why>`: the server failed, and nothing of the request took place. */
export function serverError(why: string): Reply {
  return new Reply(500, { text: `500 ERROR ${why}\r\n` });
}

/** `503 BUSY <why>`: too many connections, or shutting down. The connection ends. */
export function busy(why: string): Reply {
  return new Reply(503, { text: `503 BUSY ${why}\r\n`, last: true });
}

/** The same reply, after which the connection ends. */
export function final(reply: Reply): Reply {
  return new Reply(reply.code, { text: reply.wire, last: true });
}
