/**
 * The lines that a client sends, and the checks that keep what it is given from being anything but one
 * line: a line feed in a value would be a second request.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ArgumentError } from "./errors.ts";

/** What follows the key on a line. */
export interface Rest {
  /** A whole number. */
  readonly integer?: number | bigint;
  /** A duration, down to a millisecond. */
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
const SECONDS_MIN = 0.001;
/** The protocol takes twelve digits before the point. */
const SECONDS_MAX = 1e12;
/** The verbs of requests that change nothing, and so may be sent again. */
const READING = new Set(["COUNT", "GET", "GETS", "HELP", "KEYS", "STATS", "TTL"]);

/** What is wrong with a key, in a few words; undefined where nothing is. */
export function faultOfKey(key: string): string | undefined {
  if (typeof key !== "string") return "it is no string";
  if (key === "") return "it is empty";
  if (NOT_IN_KEY.test(key)) return "it has a space or a control character";
  // One UTF-16 unit is one to three bytes of UTF-8, so most keys need no counting.
  if (key.length * 3 > KEY_BYTES_MAX && Buffer.byteLength(key) > KEY_BYTES_MAX) {
    return `it is longer than ${KEY_BYTES_MAX} bytes`;
  }
  return key.isWellFormed() ? undefined : "it has half of a surrogate pair";
}

/** What is wrong with a value, in a few words; undefined where nothing is. */
export function faultOfValue(value: string): string | undefined {
  if (typeof value !== "string") return "it is no string";
  if (value === "") return "it is empty";
  if (NOT_IN_VALUE.test(value)) return "it has a control character";
  return value.isWellFormed() ? undefined : "it has half of a surrogate pair";
}

/** The line of a request about a key; what is wrong where the protocol has no such line. */
export function keyLine(verb: string, key: string, rest?: Rest): string | ArgumentError {
  const fault = faultOfKey(key);
  if (fault !== undefined) return new ArgumentError(`Cannot send the key: ${fault}`);
  if (rest === undefined) return `${verb} ${key}\r\n`;
  const { integer, seconds, value } = rest;
  let line = `${verb} ${key}`;
  if (integer !== undefined) {
    if (typeof integer === "number" && !Number.isSafeInteger(integer)) {
      return new ArgumentError(`Cannot send the number: ${integer} is no exact whole number`);
    }
    line += ` ${integer}`;
  }
  if (seconds !== undefined) {
    if (!(seconds >= SECONDS_MIN && seconds < SECONDS_MAX)) {
      return new ArgumentError(`Cannot send the seconds: ${seconds} is not from ${SECONDS_MIN} up`);
    }
    line += ` ${seconds.toFixed(3)}`;
  }
  if ("value" in rest) {
    const faultThere = faultOfValue(value!);
    if (faultThere !== undefined) {
      return new ArgumentError(`Cannot send the value: ${faultThere}`);
    }
    line += ` ${value}`;
  }
  return `${line}\r\n`;
}

/** A line as it was given; what is wrong where it would be anything but one. */
export function rawLine(line: string): string | ArgumentError {
  const fault = faultOfValue(line);
  if (fault !== undefined) return new ArgumentError(`Cannot send the line: ${fault}`);
  if (/^ *QUIT( |$)/i.test(line)) {
    return new ArgumentError("Cannot send the line: it ends the connection; use close()");
  }
  return `${line}\r\n`;
}

/** Whether the verb of a line is known to change nothing. */
export function isReading(line: string): boolean {
  const [verb = ""] = line.trimStart().split(" ", 1);
  return READING.has(verb.toUpperCase());
}
