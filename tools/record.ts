/**
 * One line of an export: a key, its value and its expiry, as a JSON object.
 *
 * @module
 */

import { faultOfKey, faultOfValue } from "../client/client.ts";
import { printable } from "./printable.ts";

/** A key, its value and its expiry. */
export interface Entry {
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

/** Returns the line of an entry, including its line feed. Shown on a terminal, it does not act on it. */
export function lineOf({ key, value, expiresAt }: Entry): string {
  const expiry = expiresAt === undefined ? "" : `,"expiresAt":${expiresAt}`;
  return `${
    printable(`{"key":${JSON.stringify(key)},"value":${JSON.stringify(value)}${expiry}}`)
  }\n`;
}

/** Returns the entry of a line. Throws EntryError. */
export function entryOf(line: string): Entry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new EntryError("it is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new EntryError("it is not a JSON object");
  }
  const surplus = Object.keys(parsed).find((name) => !FIELDS.has(name));
  if (surplus !== undefined) {
    throw new EntryError(`it has an unknown field, ${JSON.stringify(surplus)}`);
  }
  return checked(parsed as Entry);
}

/** Returns an entry as it is. Throws EntryError if no server could store it. */
export function checked(entry: Entry): Entry {
  const { key, value, expiresAt } = entry;
  const ofKey = faultOfKey(key);
  if (ofKey !== undefined) throw new EntryError(`its key can't be stored: ${ofKey}`);
  const ofValue = faultOfValue(value);
  if (ofValue !== undefined) throw new EntryError(`its value can't be stored: ${ofValue}`);
  const isTime = expiresAt === undefined || Number.isFinite(expiresAt) && expiresAt >= 0;
  if (!isTime) throw new EntryError("its expiresAt is not a number of milliseconds since 1970");
  return entry;
}
