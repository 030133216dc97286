/**
 * One line of an export: a key, its value and its expiry, as a JSON object.
 *
 * @module
 */

import { faultOfKey, faultOfValue } from "../client/client.ts";
import { printable } from "./printable.ts";

/** What an export and an import carry from table to table: a key, its value and its expiry. */
export interface PortableEntry {
  /** The key. */
  readonly key: string;
  /** Its value. */
  readonly value: string;
  /** When it expires, in milliseconds since 1970; undefined if never. */
  readonly expiresAt?: number | undefined;
}

/** An entry can't be stored; the message says why. */
export class EntryError extends Error {}

const FIELDS = new Set(["key", "value", "expiresAt"]);
const AFTER_STRING = /[ \t\r\n]*:/y;

/** Returns the line of an entry, including its line feed. It is safe to show on a terminal. */
export function lineOf({ key, value, expiresAt }: PortableEntry): string {
  const expiry = expiresAt === undefined ? "" : `,"expiresAt":${expiresAt}`;
  return `${
    printable(`{"key":${JSON.stringify(key)},"value":${JSON.stringify(value)}${expiry}}`)
  }\n`;
}

/** Returns the entry of a line. Throws EntryError. */
export function entryOf(line: string): PortableEntry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new EntryError("it is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new EntryError("it is not a JSON object");
  }
  const names = Object.keys(parsed);
  const surplus = names.find((name) => !FIELDS.has(name));
  if (surplus !== undefined) {
    throw new EntryError(`it has an unknown field, ${JSON.stringify(surplus)}`);
  }
  // Of two fields of one name, JSON.parse takes the last one without a word.
  if (countNames(line) > names.length) throw new EntryError("it has a field twice");
  const missing = ["key", "value"].find((name) => !names.includes(name));
  if (missing !== undefined) throw new EntryError(`it has no ${missing}`);
  return checked(parsed as PortableEntry);
}

/** Returns how many field names valid JSON has: strings followed by a colon. */
function countNames(json: string): number {
  let count = 0;
  for (let at = json.indexOf('"'); at >= 0; at = json.indexOf('"', at)) {
    at = endOfString(json, at);
    AFTER_STRING.lastIndex = at;
    if (AFTER_STRING.test(json)) count++;
  }
  return count;
}

/** Returns the position after a string that begins at `start`. */
function endOfString(json: string, start: number): number {
  let end = start;
  let backslashes: number;
  do {
    end = json.indexOf('"', end + 1);
    backslashes = 0;
    while (json[end - 1 - backslashes] === "\\") backslashes++;
  } while (backslashes % 2 === 1);
  return end + 1;
}

/** Returns an entry as it is. Throws EntryError if no server could store it. */
export function checked(entry: PortableEntry): PortableEntry {
  const { key, value, expiresAt } = entry;
  const ofKey = faultOfKey(key);
  if (ofKey !== undefined) throw new EntryError(`its key can't be stored: ${ofKey}`);
  const ofValue = faultOfValue(value);
  if (ofValue !== undefined) throw new EntryError(`its value can't be stored: ${ofValue}`);
  const isTime = expiresAt === undefined || Number.isFinite(expiresAt) && expiresAt >= 0;
  if (!isTime) throw new EntryError("its expiresAt is not a number of milliseconds since 1970");
  return entry;
}
