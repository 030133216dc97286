/**
 * Replies, and the only place where their texts stand. Handlers and the gate make them with the
 * functions below; a connection sends their `wire` form and nothing else.
 *
 * @module
 */

/** The three digits by which a client decides (RFC 5321 section 4.2 has the same form). */
export type Code = 200 | 220 | 400 | 401 | 404 | 409 | 500 | 503;

/** What a request is answered with: one line, or several. */
export interface Reply {
  /** The three digits at its begin. */
  readonly code: Code;
  /** The whole reply as it is sent, its last CR LF included. */
  readonly wire: string;
  /** Set where the connection ends once this reply is sent. */
  readonly last?: true;
}

/** `200 OK`: the request is completed; what it changed is durable when this leaves. */
export const okay: Reply = { code: 200, wire: "200 OK\r\n" };

/** `200 OK`, then the connection ends. */
export const goodbye: Reply = { ...okay, last: true };

/** `220 UNSUPPORTED`: no operation has this verb. */
export const unsupported: Reply = { code: 220, wire: "220 UNSUPPORTED\r\n" };

/** `401 UNAUTHORIZED`: a password is set and this connection has not given it. */
export const unauthorized: Reply = { code: 401, wire: "401 UNAUTHORIZED\r\n" };

/** `404 NOT FOUND`: the key has no value. */
export const notFound: Reply = { code: 404, wire: "404 NOT FOUND\r\n" };

/** `200 OK <value>`. */
export function ok(value: string | number | bigint): Reply {
  return { code: 200, wire: `200 OK ${value}\r\n` };
}

/** `200-<line>` for each line, then `200 OK`, or another last line (RFC 5321 section 4.2). */
export function okLines(lines: readonly string[], last: Reply = okay): Reply {
  return { code: 200, wire: lines.map((line) => `200-${line}\r\n`).join("") + last.wire };
}

/** `400 BADREQUEST <why>`: recognised but not properly formed. */
export function badRequest(why: string): Reply {
  return { code: 400, wire: `400 BADREQUEST ${why}\r\n` };
}

/** `409 CONFLICT <why>`: a condition did not hold, and nothing was changed. */
export function conflict(why: string): Reply {
  return { code: 409, wire: `409 CONFLICT ${why}\r\n` };
}

/** `500 ERROR <why>`: the server failed, and nothing of the request took place. */
export function serverError(why: string): Reply {
  return { code: 500, wire: `500 ERROR ${why}\r\n` };
}

/** `503 BUSY <why>`: too many connections, or shutting down. The connection ends. */
export function busy(why: string): Reply {
  return { code: 503, wire: `503 BUSY ${why}\r\n`, last: true };
}

/** The same reply, after which the connection ends. */
export function final(reply: Reply): Reply {
  return { ...reply, last: true };
}
