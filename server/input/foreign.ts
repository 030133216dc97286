/**
 * Recognises HTTP and TLS, which this server does not speak. The connection asks about a client's first bytes
 * and about each line; if either is foreign, it refuses, runs nothing that follows, and closes.
 *
 * Our verbs are HTTP's methods. Without this check, `curl -X PUT` would store a key, and any web page that
 * can make a browser POST to localhost could send a line `CLEAR`.
 *
 * @module
 */

import type { Line } from "./line.ts";

const REQUEST_LINE = / HTTP\/\d+(\.\d+)?$/; // RFC 9112 section 3
const HOST_FIELD = /^host:/i; // RFC 9112 section 3.2: each request has one
const TLS_HANDSHAKE = 0x16; // RFC 8446 section 5.1: the type of a ClientHello's record

/** Whether the first byte of a connection opens a TLS handshake. */
export function isTlsHello(firstByte: number): boolean {
  return firstByte === TLS_HANDSHAKE;
}

/** Whether a line belongs to an HTTP request; a request line counts only as the first of a connection. */
export function isHttp({ text, memory, start }: Line, isFirst: boolean): boolean {
  return (isFirst && REQUEST_LINE.test(text)) ||
    (isH(memory.bytes[start]) && HOST_FIELD.test(text));
}

/** Checked first, because running a regular expression on every line is slow. */
function isH(unit: number | undefined): boolean {
  return unit === 0x68 || unit === 0x48;
}
