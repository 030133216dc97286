/**
 * What another server has, as an item to import: keys and values are bytes there, and text here.
 *
 * @module
 */

import { checked, EntryError } from "./record.ts";
import type { Item } from "./source.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** A key with its value, in bytes. */
export interface ForeignEntry {
  /** Its place in the source, counted from 1. */
  readonly place: number;
  /** The key. */
  readonly key: Uint8Array;
  /** Its value; a text says why there is none. */
  readonly value: Uint8Array | string;
  /** When it ends, in milliseconds since 1970; undefined where it stays. */
  readonly expiresAt: number | undefined;
}

/** The item, or what is wrong with it. */
export function foreignItem({ place, key, value, expiresAt }: ForeignEntry): Item {
  const name = lenient.decode(key);
  if (typeof value === "string") return { place, key: name, fault: value };
  const keyText = textOf(key);
  if (keyText === undefined) return { place, key: name, fault: "its key is not UTF-8" };
  const valueText = textOf(value);
  if (valueText === undefined) return { place, key: name, fault: "its value is not UTF-8" };
  try {
    return { place, entry: checked({ key: keyText, value: valueText, expiresAt }) };
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    return { place, key: name, fault: error.message };
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
