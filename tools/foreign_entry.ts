/**
 * Turns an entry of another server, where keys and values are bytes, into an item to import.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { textOf } from "./byte_lines.ts";
import { checked, EntryError } from "./record.ts";
import type { Item } from "./source.ts";

/** A key with its value, in bytes. */
export interface ForeignEntry {
  /** Its position in the source, counted from 1. */
  readonly place: number;
  /** The key. */
  readonly key: Buffer;
  /** Its value, or as text the reason why it can't be imported. */
  readonly value: Buffer | string;
  /** When it expires, in milliseconds since 1970; undefined if never. */
  readonly expiresAt: number | undefined;
}

/** Returns the item, or what is wrong with it. */
export function foreignItem({ place, key, value, expiresAt }: ForeignEntry): Item {
  const name = key.toString("utf8");
  const fault = (why: string): Item => ({ place, key: name, fault: why });
  if (typeof value === "string") return fault(value);
  if (textOf(key) === undefined) return fault("its key is not UTF-8");
  const text = textOf(value);
  if (text === undefined) return fault("its value is not UTF-8");
  try {
    return { place, entry: checked({ key: name, value: text, expiresAt }) };
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    return fault(error.message);
  }
}
