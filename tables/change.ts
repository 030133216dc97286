/**
 * The bytes of a change: what happened to which key, and what is stored there now. Logs consist of changes,
 * both the log on disk and the one in etcd.
 *
 * @module
 */

import { copyText, type Memory, Text } from "./text.ts";

/** The kinds of changes. */
export const KIND = { PUT: 1, DELETE: 2, CLEAR: 3 } as const;

/** A change. */
export interface Change {
  /** One of KIND. */
  readonly kind: number;
  /** The key. */
  readonly key: Text;
  /** The value now stored under the key; empty if there is none. */
  readonly value: Text;
  /** The version of the entry; 0 if nothing is stored. */
  readonly version: number;
  /** When the key expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
}

// Little-endian: this header, the expiry as an f64 if there is one, the key, the value.
const KIND_AND_FLAGS = 0; // u16: the kind, and EXPIRES
const KEY_LENGTH = 2; // u16
const VALUE_LENGTH = 4; // u32
const VERSION = 8; // f64
const HEADER_BYTES = 16;
const EXPIRY_BYTES = 8;
const EXPIRES = 0x100;
const KIND_MASK = 0xff;

/** The size of a change with a key and a value of these lengths, in bytes. */
export function changeBytes(keyLength: number, valueLength: number, expiresAt: number): number {
  return HEADER_BYTES + (expiresAt === 0 ? 0 : EXPIRY_BYTES) + keyLength + valueLength;
}

/** The size of a change in bytes. */
export function sizeOfChange({ key, value, expiresAt }: Change): number {
  return changeBytes(key.length, value.length, expiresAt);
}

/** Writes a change to this offset. */
export function writeChange(change: Change, to: Memory, at: number): void {
  const { view } = to;
  const { kind, key, value, version, expiresAt } = change;
  view.setUint16(at + KIND_AND_FLAGS, kind | (expiresAt === 0 ? 0 : EXPIRES), true);
  view.setUint16(at + KEY_LENGTH, key.length, true);
  view.setUint32(at + VALUE_LENGTH, value.length, true);
  view.setFloat64(at + VERSION, version, true);
  let start = at + HEADER_BYTES;
  if (expiresAt !== 0) {
    view.setFloat64(start, expiresAt, true);
    start += EXPIRY_BYTES;
  }
  copyText(key, to, start);
  copyText(value, to, start + key.length);
}

/**
 * The size of the change at an offset, as its header gives it, in bytes. Throws RangeError if the header is
 * cut off.
 */
export function changeBytesAt({ view }: Memory, at: number): number {
  const isExpiring = (view.getUint16(at + KIND_AND_FLAGS, true) & EXPIRES) !== 0;
  return HEADER_BYTES + (isExpiring ? EXPIRY_BYTES : 0) + view.getUint16(at + KEY_LENGTH, true) +
    view.getUint32(at + VALUE_LENGTH, true);
}

/** Reads the change at an offset. Throws RangeError if its header is cut off. */
export function readChange(from: Memory, at: number): Change {
  const { view } = from;
  const kindAndFlags = view.getUint16(at + KIND_AND_FLAGS, true);
  const isExpiring = (kindAndFlags & EXPIRES) !== 0;
  const start = at + HEADER_BYTES + (isExpiring ? EXPIRY_BYTES : 0);
  const middle = start + view.getUint16(at + KEY_LENGTH, true);
  return {
    kind: kindAndFlags & KIND_MASK,
    key: new Text(from, start, middle),
    value: new Text(from, middle, middle + view.getUint32(at + VALUE_LENGTH, true)),
    version: view.getFloat64(at + VERSION, true),
    expiresAt: isExpiring ? view.getFloat64(at + HEADER_BYTES, true) : 0,
  };
}

/** A change without its value, as the index of a log has it. */
export interface ChangeHead extends Omit<Change, "value"> {
  /** The length of the value, in bytes. */
  readonly valueLength: number;
}

/** Reads a change whose value is missing from these bytes. */
export function readHeadOfChange(from: Memory, at: number): ChangeHead {
  const { kind, key, value, version, expiresAt } = readChange(from, at);
  return { kind, key, valueLength: value.length, version, expiresAt };
}

/** The size of the change at an offset without its value, in bytes. */
export function headBytesAt(from: Memory, at: number): number {
  return changeBytesAt(from, at) - from.view.getUint32(at + VALUE_LENGTH, true);
}
