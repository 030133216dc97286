/**
 * Tells HTTP and TLS from our protocol. `connection.ts` asks it about a client's first bytes and
 * about each line, refuses, runs nothing of what follows, and closes.
 *
 * Our verbs are HTTP's methods. Without this, `curl -X PUT` would store a key, and any web page that
 * can make a browser POST to localhost could send a line `CLEAR`.
 *
 * @module
 */

const REQUEST_LINE = / HTTP\/\d+(\.\d+)?$/; // RFC 9112 section 3
const HOST_FIELD = /^host:/i; // RFC 9112 section 3.2: each request has one
const TLS_HANDSHAKE = 0x16; // RFC 8446 section 5.1: the type of a ClientHello's record

/** Whether a connection's first byte opens a TLS handshake. */
export function isTlsHello(firstByte: number): boolean {
  return firstByte === TLS_HANDSHAKE;
}

/** Whether this line belongs to an HTTP request; a request line is one only as a connection's first. */
export function isHttp(line: string, isFirst: boolean): boolean {
  return (isFirst && REQUEST_LINE.test(line)) || (isH(line.charCodeAt(0)) && HOST_FIELD.test(line));
}

/** Looked at first, because a regular expression for each line of all would cost a good part of it. */
function isH(unit: number): boolean {
  return unit === 0x68 || unit === 0x48;
}
