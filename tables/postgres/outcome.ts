/**
 * What a failure of PostgreSQL means to a turn, by its SQLSTATE (appendix A of PostgreSQL's documentation):
 * that others were first, that the engine refuses, or that it is lost.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** Nobody knows whether a transaction took place. */
export class UncertainError extends Error {}

/** Another server was first, and nothing took place: the turn must run again. */
export class ConflictError extends Error {}

/** The session with the engine is lost, or there is none. Another attempt may succeed. */
export class LostError extends TableError {
  /** Says so to clients; the cause says more to the log. */
  constructor(why: string, options?: ErrorOptions) {
    super("the table's engine is not reached", options);
    this.why = why;
  }

  /** Why, for the log. */
  readonly why: string;
}

/** What a failed statement says. */
interface SqlError {
  readonly code?: unknown;
  readonly severity?: unknown;
  readonly message: string;
}

const CONFLICTS = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "23505", // unique_violation: another server has stored the key
  "42P07", // duplicate_table: another server makes the table at the same time
  "55P03", // lock_not_available: after lock_timeout
]);
/** By the beginning of a SQLSTATE, what clients are told. The longer ones come first. */
const REFUSALS: readonly (readonly [state: string, why: string])[] = [
  ["53100", "the table's engine has no room on its disk"],
  ["53200", "the table's engine is out of memory"],
  ["53300", "the table's engine has too many connections"],
  ["25006", "the table's engine is read-only"],
  ["42501", "the table's engine does not let this server use the table"],
  ["42P01", "the table in the engine is not as Keyline made it"], // undefined_table
  ["42703", "the table in the engine is not as Keyline made it"], // undefined_column
  ["42804", "the table in the engine is not as Keyline made it"], // datatype_mismatch
  ["28", "the table's engine does not let this server in"],
  ["3D", "the table's engine does not have the database"],
  ["54", "more than the table's engine takes at once"],
  ["XX", "the table's engine has found damage"],
];
/** Each of these ends the session, or says that there can't be one now. */
const ENDS = /^(08|57P)/;

/** Converts what a statement has failed with. */
export function outcomeOf(error: unknown): ConflictError | LostError | TableError {
  if (error instanceof TableError || error instanceof ConflictError) return error;
  const { code, severity, message } = error as SqlError;
  if (!isAnswer(error)) return new LostError(message, { cause: error });
  const state = String(code);
  if (CONFLICTS.has(state)) return new ConflictError(message, { cause: error });
  const why = REFUSALS.find(([beginning]) => state.startsWith(beginning))?.[1];
  if (why === undefined && (ENDS.test(state) || severity === "FATAL")) {
    return new LostError(message, { cause: error });
  }
  return new TableError(why ?? "the table's engine refuses", { cause: error });
}

/** Whether a failure leaves the session as it was: there is no room, or no change is taken. */
export function isOfStatement(error: Error): boolean {
  const { code } = (error.cause ?? {}) as SqlError;
  return error instanceof ConflictError || /^(25006|53100|53200|54)/.test(String(code));
}

/** Whether a failure says that the engine takes no changes. */
export function isReadOnly(error: Error): boolean {
  return ((error.cause ?? {}) as SqlError).code === "25006";
}

/** Whether the engine itself has said this. */
export function isAnswer(error: unknown): boolean {
  const { code, severity } = error as SqlError;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && severity !== undefined;
}

/** What the log is told of a failure. */
export function whyOf(error: unknown): string {
  if (error instanceof LostError) return error.why;
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
