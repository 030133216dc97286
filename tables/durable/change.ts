/**
 * The bytes of a change in the log: what happened to which key, and what is stored there now.
 *
 * @module
 */

import { copyText, type Memory, Text } from "../text.ts";

/** The kinds of changes. */
export const KIND = { PUT: 1, DELETE: 2, CLEAR: 3 } as const;

/** A change. */
export interface Change {
  /** One of KIND. */
  readonly kind: number;
  /** Whether the key had a row when the change was logged. */
  readonly isInRows: boolean;
  /** The key. */
  readonly key: Text;
  /** The value now stored under the key; empty if there is none. */
  readonly value: Text;
  /** The version of the entry; 0 if nothing is stored. */
  readonly version: number;
  /** When the key expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
}

/** A change that was read back, with its number: a table numbers its changes from 1 on. */
export interface NumberedChange extends Change {
  /** Its number. */
  readonly number: number;
}

/** Little-endian: this header, the key, the value. */
const IN_ROWS = 1; // u8
const KEY_LENGTH = 2; // u16
const VALUE_LENGTH = 4; // u32
const VERSION = 8; // f64
const EXPIRES_AT = 16; // f64
const HEADER_BYTES = 24;

/** The size of a change in bytes. */
export function sizeOfChange({ key, value }: Pick<Change, "key" | "value">): number {
  return HEADER_BYTES + key.length + value.length;
}

/** Writes a change to this offset. */
export function writeChange(change: Change, to: Memory, at: number): void {
  const { view, bytes } = to;
  const { key, value } = change;
  bytes[at] = change.kind;
  bytes[at + IN_ROWS] = Number(change.isInRows);
  view.setUint16(at + KEY_LENGTH, key.length, true);
  view.setUint32(at + VALUE_LENGTH, value.length, true);
  view.setFloat64(at + VERSION, change.version, true);
  view.setFloat64(at + EXPIRES_AT, change.expiresAt, true);
  copyText(key, to, at + HEADER_BYTES);
  copyText(value, to, at + HEADER_BYTES + key.length);
}

/** Reads the change at an offset. */
export function readChange(from: Memory, at: number): Change {
  const { view, bytes } = from;
  const start = at + HEADER_BYTES;
  const middle = start + view.getUint16(at + KEY_LENGTH, true);
  return {
    kind: bytes[at]!,
    isInRows: bytes[at + IN_ROWS] === 1,
    key: new Text(from, start, middle),
    value: new Text(from, middle, middle + view.getUint32(at + VALUE_LENGTH, true)),
    version: view.getFloat64(at + VERSION, true),
    expiresAt: view.getFloat64(at + EXPIRES_AT, true),
  };
}
