/**
 * The log of the server: one line per event on standard error, starting with the time, as text for people or
 * as JSON for machines. Anything that a client could influence is escaped, so that no client can forge a line
 * or send sequences to a terminal.
 *
 * @module
 */

/** How the lines of the log look. */
export type LogFormat = (typeof LOG_FORMATS)[number];

/** The formats that there are. */
export const LOG_FORMATS = ["text", "json"] as const;

/** How much an event matters: nothing to do, worth a look, or something has failed. */
export type Level = "info" | "warn" | "error";

/** The details of an event beside its text. */
export interface Details {
  /** The error, if there was one. */
  readonly error?: unknown;
  /** Statistics and names. */
  readonly [name: string]: unknown;
}

/** Control and format characters, line separators, and halves of surrogate pairs. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** How much of a value is logged: a client may have had a hand in it. */
const VALUE_CHARS_MAX = 2_000;
/** The characters that a value may have without needing quotes. */
const PLAIN = /^[^\s"=]+$/u;

/** A fault is over after this long without another of its kind, in milliseconds. */
const FAULTS_QUIET_MS = 60_000;
/** How many kinds of faults to tell apart, by their messages. */
const FAULTS_MAX = 100;

interface Fault {
  readonly event: string;
  readonly message: string;
  count: number;
  at: number;
}

let format: LogFormat = "text";
/** Those that are not over. */
const faults = new Map<string, Fault>();

/** Sets how lines look from here on. */
export function setLogFormat(chosen: LogFormat): void {
  format = chosen;
}

/** Logs an event: what happened, in a few words without a full stop, and its details. */
export function logEvent(level: Level, event: string, details: Details = {}): void {
  const { error, ...fields } = details;
  const time = new Date().toISOString();
  if (format === "json") {
    const line = { time, level, event, ...fields, ...errorFields(error) };
    const cutTexts = (_: string, value: unknown) => typeof value === "string" ? cut(value) : value;
    console.error(escape(JSON.stringify(line, cutTexts)));
    return;
  }
  const why = error === undefined ? "" : `: ${cut(describe(error))}`;
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${quote(value)}`).join("");
  console.error(escape(`${time} ${level.padEnd(5)} ${event}${why}${rest}`));
}

/**
 * Logs an error that a client may cause repeatedly: the first one at once, and the others as a count, once
 * none has come for a while.
 */
export function logFault(event: string, error: unknown, now: number = performance.now()): void {
  const message = error instanceof Error ? error.message : String(error);
  const full = `${event}: ${message}`;
  // Parts that a client could vary don't make a different kind.
  const key = faults.has(full) || faults.size < FAULTS_MAX ? full : event;
  const fault = faults.get(key);
  if (fault !== undefined) {
    fault.count++;
    fault.at = now;
    return;
  }
  faults.set(key, { event, message, count: 1, at: now });
  logEvent("error", event, { error });
}

/** Logs how many faults there were of each kind of which none has come for a while. */
export function tellFaults(now: number): void {
  for (const [key, { event, message, count, at }] of faults) {
    if (now - at < FAULTS_QUIET_MS) continue;
    faults.delete(key);
    if (count > 1) logEvent("error", `${event}: no more for a minute`, { last: message, count });
  }
}

/** Says why the process did not start, to a person or to a program that reads the log. */
export function logFailedStart(text: string): void {
  if (format === "json") logEvent("error", text);
  else console.error(text);
}

function errorFields(error: unknown): Record<string, string> {
  if (error === undefined) return {};
  if (!(error instanceof Error)) return { error: String(error) };
  return { error: error.message, ...(error.stack !== undefined && { stack: error.stack }) };
}

/** An error with its stack and its causes, in one line. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = (error.stack ?? String(error)).replace(/\n\s*/g, " ");
  return error.cause === undefined ? text : `${text} (cause: ${describe(error.cause)})`;
}

function quote(value: unknown): string {
  const text = cut(String(value));
  return PLAIN.test(text) ? text : JSON.stringify(text);
}

function cut(text: string): string {
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}…`;
}

/** Writes unsafe characters as JSON would: `\u001b`. */
function escape(line: string): string {
  return line.replace(UNSAFE, (unsafe) =>
    Array.from(
      { length: unsafe.length },
      (_, i) => `\\u${unsafe.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""));
}
