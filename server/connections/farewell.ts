/**
 * Closes connections so that their last replies still arrive, both when a client is disconnected and when one
 * is refused.
 *
 * @module
 */

import type { Reply } from "../reply.ts";
import type { TimeSlice } from "../time_slice.ts";
import type { Socket } from "./socket.ts";

/** How long to wait for the last bytes of a client, in milliseconds. */
const LINGER_MS = 1_000;
/** How long a refused client has to read why, in milliseconds. */
const REFUSAL_MS = 2_000;
const DROPPED_BYTES = 1_024;

/**
 * Ends the outgoing stream, then drops what the client still sends for a moment. If bytes were left unread at
 * the close, the kernel would send a reset, and the last replies could be lost.
 */
export async function linger(
  socket: Socket,
  { close, slice }: { close: () => void; slice: TimeSlice },
): Promise<void> {
  await socket.closeWrite();
  const timer = setTimeout(close, LINGER_MS);
  const buffer = new Uint8Array(DROPPED_BYTES);
  try {
    while (await socket.read(buffer) !== null) {
      slice.count();
      if (slice.isFull) await slice.next();
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Sends this reply and closes. Never throws. */
export async function refuse(
  socket: Socket,
  { reply, slice }: { reply: Reply; slice: TimeSlice },
): Promise<void> {
  let isClosed = false;
  const close = () => {
    if (!isClosed) socket.close();
    isClosed = true;
  };
  // Without a TLS handshake, the write would never end.
  const timer = setTimeout(close, REFUSAL_MS);
  try {
    await socket.write(reply.bytes!);
    await linger(socket, { close, slice });
  } catch {
    // The client has left, or has taken too long.
  } finally {
    clearTimeout(timer);
    close();
  }
}
