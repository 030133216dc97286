/**
 * What another server has, as an item to import: keys and values are bytes there, and text here.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { checked, EntryError } from "./record.ts";
import type { Item } from "./source.ts";

/** A key with its value, in bytes. */
export interface ForeignEntry {
  /** Its place in the source, counted from 1. */
  readonly place: number;
  /** The key. */
  readonly key: Buffer;
  /** Its value; a text says why there is none. */
  readonly value: Buffer | string;
  /** When it ends, in milliseconds since 1970; undefined where it stays. */
  readonly expiresAt: number | undefined;
}

/** The item, or what is wrong with it. */
export function foreignItem({ place, key, value, expiresAt }: ForeignEntry): Item {
  const name = key.toString("utf8");
  if (typeof value === "string") return { place, key: name, fault: value };
  if (!isUtf8(key, name)) return { place, key: name, fault: "its key is not UTF-8" };
  const text = value.toString("utf8");
  if (!isUtf8(value, text)) return { place, key: name, fault: "its value is not UTF-8" };
  try {
    return { place, entry: checked({ key: name, value: text, expiresAt }) };
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    return { place, key: name, fault: error.message };
  }
}

/** Whether bytes are the text that was made of them: what is not UTF-8 became U+FFFD. */
function isUtf8(bytes: Buffer, text: string): boolean {
  return !text.includes("\ufffd") || Buffer.from(text).equals(bytes);
}
