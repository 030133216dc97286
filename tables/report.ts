/**
 * How a table tells what happens to it. Tables know nothing of the server's log; whoever opens one gives
 * it a function.
 *
 * @module
 */

/** Tells of an event: how much it matters, what happened, and its details. */
export type Report = (
  level: "info" | "warn" | "error",
  event: string,
  details?: { readonly error?: unknown; readonly [name: string]: unknown },
) => void;

/** Tells nobody. */
export const NO_REPORT: Report = () => {};
