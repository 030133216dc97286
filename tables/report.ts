/**
 * How a table reports events. Tables don't know the server's log; the code that opens one passes it a
 * function.
 *
 * @module
 */

/** Reports an event: its level, what happened, and its details. */
export type Report = (
  level: "info" | "warn" | "error",
  event: string,
  details?: { readonly error?: unknown; readonly [name: string]: unknown },
) => void;

/** Discards events. */
export const NO_REPORT: Report = () => {};
