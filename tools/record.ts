/**
 * A line of an export: one key with its value and its end, as a JSON object.
 *
 * @module
 */

import { faultOfKey, faultOfValue } from "../client/client.ts";

/** A key, its value, and its end. */
export interface Entry {
  /** The key. */
  readonly key: string;
  /** Its value. */
  readonly value: string;
  /** When it ends, in milliseconds since 1970; undefined where it stays. */
  readonly expiresAt?: number | undefined;
}

/** An entry that can't be stored, and why. */
export class EntryError extends Error {}

const FIELDS = new Set(["key", "value", "expiresAt"]);

/** The line of an entry, its line feed included. */
export function lineOf({ key, value, expiresAt }: Entry): string {
  const end = expiresAt === undefined ? "" : `,"expiresAt":${expiresAt}`;
  return `{"key":${JSON.stringify(key)},"value":${JSON.stringify(value)}${end}}\n`;
}

/** The entry of a line. Throws EntryError. */
export function entryOf(line: string): Entry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw new EntryError("it is no JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new EntryError("it is no JSON object");
  }
  const surplus = Object.keys(parsed).find((name) => !FIELDS.has(name));
  if (surplus !== undefined) throw new EntryError(`it has a field ${JSON.stringify(surplus)}`);
  return checked(parsed as Entry);
}

/** The same entry. Throws EntryError where the server could not store it. */
export function checked(entry: Entry): Entry {
  const { key, value, expiresAt } = entry;
  const ofKey = faultOfKey(key);
  if (ofKey !== undefined) throw new EntryError(`its key can't be stored: ${ofKey}`);
  const ofValue = faultOfValue(value);
  if (ofValue !== undefined) throw new EntryError(`its value can't be stored: ${ofValue}`);
  const isTime = expiresAt === undefined || Number.isFinite(expiresAt) && expiresAt >= 0;
  if (!isTime) throw new EntryError("its expiresAt is no number of milliseconds since 1970");
  return entry;
}
