/**
 * A moment for the others. Who has worked for long without one takes it: `splitter.ts` between the texts
 * that it splits, `connection.ts` between the requests of a client that sends without end.
 *
 * @module
 */

/** How long one works without a pause, in milliseconds. */
export const BUSY_MS_MAX = 15;

/** Lets all others go on that have something to do. */
export function pause(): Promise<void> {
  // A timer, because the event loop looks at all sockets only where it has nothing else to do.
  return new Promise((resolve) => setTimeout(resolve, 1));
}
