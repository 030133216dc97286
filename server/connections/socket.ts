/**
 * What a connection needs from a socket, and what a socket's errors mean to it.
 *
 * @module
 */

/** What TCP and TLS sockets have in common; a test can implement it too. */
export interface Socket extends Pick<Deno.Conn, "read" | "write" | "close" | "closeWrite"> {
  /** Where the client is. */
  readonly remoteAddr: Deno.Addr;
  /** Whether its handshake is still under way; undefined if it has none. */
  readonly isHandshaking?: boolean;
}

/** The address of a socket's client, for the log. */
export function addressOf({ remoteAddr }: Socket): string | undefined {
  if (remoteAddr.transport !== "tcp") return undefined;
  const { hostname, port } = remoteAddr;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Whether an error only says that one side has gone, which is nothing to log. */
export function isDisconnect(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData || // a TLS handshake that failed
    error instanceof Deno.errors.TimedOut ||
    error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.BadResource;
}
