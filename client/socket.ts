/**
 * Opens the socket to a server, and explains failures in plain words.
 *
 * @module
 */

import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** Where a server is. */
export interface SocketOptions {
  /** Name or address of the server. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Whether to use TLS. */
  readonly tls: boolean;
  /** Certificates to trust, in PEM; undefined for the system's. */
  readonly ca?: string[] | undefined;
}

/** What the most frequent failures mean, by their code. */
const MEANINGS = new Map([
  ["ECONNREFUSED", "nothing listens there"],
  ["ENOTFOUND", "there is no host of that name"],
  ["EAI_AGAIN", "the host's name can't be resolved now"],
]);
/** How Deno and Node.js report that the other side does not speak TLS. */
const NOT_TLS = /InvalidContentType|WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/;

/** Begins to connect; `connect`, or `secureConnect` with TLS, says when it has. */
export function openSocket({ hostname, port, tls, ca }: SocketOptions): Socket {
  if (!tls) return connectTcp({ host: hostname, port });
  return connectTls({
    host: hostname,
    port,
    // A certificate is for a name; TLS knows no name that is an address (RFC 6066, section 3).
    ...isIP(hostname) === 0 && { servername: hostname },
    ...ca && { ca },
  });
}

/** Returns what an error of a socket means; its own message if that is not known. */
export function whyNot(error: Error): string {
  const { code = "" } = error as { code?: string };
  const meaning = MEANINGS.get(code);
  if (meaning !== undefined) return meaning;
  if (NOT_TLS.test(`${code} ${error.message}`)) return "the server does not speak TLS";
  return error.message || code;
}
