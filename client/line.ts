/**
 * The lines that a client sends, and the checks that keep each of them a single line: a line feed in a value
 * would begin a second request. The checks do not trust the types, because JavaScript has none.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ArgumentError } from "./errors.ts";

/** What follows the key on a line. */
export interface Rest {
  /** A whole number. */
  readonly integer?: number | bigint;
  /** A duration in seconds, which the server rounds to milliseconds. */
  readonly seconds?: number;
  /** The rest of the line. */
  readonly value?: string;
}

/** The longest key, in bytes of UTF-8. */
const KEY_BYTES_MAX = 1_024;
// deno-lint-ignore no-control-regex -- the protocol's rule: no space, no control character
const NOT_IN_KEY = /[\x00-\x20\x7f]/;
// deno-lint-ignore no-control-regex -- the protocol's rule: no control character but TAB
const NOT_IN_VALUE = /[\x00-\x08\x0a-\x1f\x7f]/;
/** The shortest and the longest duration, rounded to milliseconds. */
const [MS_MIN, MS_MAX] = [1, 999_999_999_999_000];
/** The protocol takes nine digits after the point. */
const DECIMALS_MAX = 9;
/** The verbs that change nothing, so that a request with one of them may be sent again. */
const READING = new Set(["COUNT", "GET", "GETS", "HELP", "KEYS", "STATS", "TTL"]);

/** Returns what is wrong with a key in a few words, or undefined if it can be sent. */
export function faultOfKey(key: string): string | undefined {
  if (typeof key !== "string") return "it is not a string";
  if (key === "") return "it is empty";
  if (NOT_IN_KEY.test(key)) return "it contains a space or a control character";
  // A UTF-16 unit takes at most three bytes in UTF-8, so most keys need no counting.
  if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    return `it is longer than ${KEY_BYTES_MAX} bytes`;
  }
  return key.isWellFormed() ? undefined : "it contains half a surrogate pair";
}

/** Returns what is wrong with a value in a few words, or undefined if it can be sent. */
export function faultOfValue(value: string): string | undefined {
  if (typeof value !== "string") return "it is not a string";
  if (value === "") return "it is empty";
  if (NOT_IN_VALUE.test(value)) return "it contains a control character";
  return value.isWellFormed() ? undefined : "it contains half a surrogate pair";
}

/** Returns the line of a request about a key, or the error that says why it can't be sent. */
export function keyLine(verb: string, key: string, rest?: Rest): string | ArgumentError {
  const fault = faultOfKey(key);
  if (fault !== undefined) return cannotSend("key", fault);
  if (rest === undefined) return `${verb} ${key}\r\n`;
  const { integer, seconds, value } = rest;
  let line = `${verb} ${key}`;
  if ("integer" in rest) {
    if (typeof integer !== "bigint" && !Number.isSafeInteger(integer)) {
      return cannotSend("number", `${String(integer)} is not a bigint or a safe integer`);
    }
    line += ` ${integer}`;
  }
  if ("seconds" in rest) {
    const ms = typeof seconds === "number" ? Math.round(seconds * 1_000) : NaN;
    if (!(ms >= MS_MIN && ms <= MS_MAX)) {
      const range = `from ${MS_MIN / 1_000} to ${MS_MAX / 1_000}`;
      return cannotSend("seconds", `${String(seconds)} is not a number ${range}`);
    }
    line += ` ${seconds!.toFixed(DECIMALS_MAX)}`;
  }
  if ("value" in rest) {
    const faultThere = faultOfValue(value!);
    if (faultThere !== undefined) return cannotSend("value", faultThere);
    line += ` ${value}`;
  }
  return `${line}\r\n`;
}

/** Returns a line as it was given, or the error that says why it can't be sent. */
export function rawLine(line: string): string | ArgumentError {
  const fault = faultOfValue(line);
  if (fault !== undefined) return cannotSend("line", fault);
  if (/^ *QUIT( |$)/i.test(line)) {
    return cannotSend("line", "it would end the connection; call close() for that");
  }
  return `${line}\r\n`;
}

/** Whether the verb of a line is known to change nothing. */
export function isReading(line: string): boolean {
  const [verb = ""] = line.trimStart().split(" ", 1);
  return READING.has(verb.toUpperCase());
}

function cannotSend(what: string, why: string): ArgumentError {
  return new ArgumentError(`Cannot send the ${what}: ${why}`);
}
