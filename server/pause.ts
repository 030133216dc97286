/**
 * Yields to the event loop. `turn.ts` calls it where a turn has been long, so that other clients' packets
 * are read.
 *
 * @module
 */

/** How long a turn works without a pause, in milliseconds. */
export const BUSY_MS_MAX = 15;

/** Lets all others go on that have something to do. */
export function pause(): Promise<void> {
  // A timer, because the event loop looks at all sockets only where it has nothing else to do.
  return new Promise((resolve) => setTimeout(resolve, 1));
}
