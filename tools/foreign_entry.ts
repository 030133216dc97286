/**
 * Turns an entry of another server, where keys and values are bytes, into an item to import.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { faultOfKey } from "../client/client.ts";
import { textOf } from "./byte_lines.ts";
import { checked, EntryError } from "./export_line.ts";
import type { Item } from "./source.ts";
import { BLOCK_BYTES_MAX } from "./stream_reader.ts";

/** A key that another server lists. */
export interface ForeignKey {
  /** Its position in the source, counted from 1. */
  readonly place: number;
  /** The key. */
  readonly key: Buffer;
}

/** A key with its value, in bytes. */
export interface ForeignEntry extends ForeignKey {
  /** Its value. */
  readonly value: Buffer;
  /** When it expires, in milliseconds since 1970; undefined if never. */
  readonly expiresAt: number | undefined;
}

/**
 * Returns why a key can't be imported, whatever its value; undefined if it can. Only a valid key is sent back
 * to the server that listed it: in a line protocol, a key with a line feed would be a command.
 */
export function faultOfForeignKey(key: Buffer): string | undefined {
  const name = textOf(key);
  if (name === undefined) return "its key is not UTF-8";
  const fault = faultOfKey(name);
  return fault === undefined ? undefined : `its key can't be stored: ${fault}`;
}

/** Returns why a value of this many bytes can't be imported, or undefined if it may be. */
export function faultOfSize(bytes: number): string | undefined {
  return bytes > BLOCK_BYTES_MAX ? "its value is longer than any server accepts" : undefined;
}

/** Returns the item of a key that is left out for this reason. */
export function leftOut({ key, place }: ForeignKey, fault: string): Item {
  return { place, key: key.toString("utf8"), fault };
}

/** Returns the item of an entry, or what is wrong with it. */
export function foreignItem(entry: ForeignEntry): Item {
  const { place, key, expiresAt } = entry;
  const value = textOf(entry.value);
  if (value === undefined) return leftOut(entry, "its value is not UTF-8");
  try {
    return { place, entry: checked({ key: key.toString("utf8"), value, expiresAt }) };
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    return leftOut(entry, error.message);
  }
}
