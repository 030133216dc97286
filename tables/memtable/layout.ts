/**
 * The layout of a record: a header, the key, the value, and in a record that expires an f64 that says when,
 * padded to whole units. The arena alone reads and writes it.
 *
 * @module
 */

import { UNIT_BYTES } from "./slabs.ts";

/** The state of a record, as bits of the first word of its header. */
export const FLAG = {
  /** The value is not in memory. */
  COLD: 1,
  /** The value is large, and stands among the blobs. */
  BLOB: 2,
  /** The record has been read since eviction last passed it. */
  RECENT: 4,
  /** Nothing refers to the record any longer. */
  FREED: 8,
  /** The record has an expiry behind its value. */
  EXPIRES: 16,
  /** The record is in the order by key. */
  LISTED: 32,
} as const;

/** The flags that a change of the record sets anew: all but LISTED. */
export const FLAGS_MASK = 0x1f;
// The other bits of the first word: all that a search needs before it reads the key. The length of the key has
// 11 of them, and the room of the record in units 13.
const KEY_LENGTH_SHIFT = 8;
const KEY_LENGTH_MASK = 0x7ff;
const CAPACITY_SHIFT = 19;

/** Where the parts of a record are, from its start, in bytes; little-endian. */
export const AT = {
  /** i32 */
  HEAD: 0,
  /** u32, in bytes */
  VALUE_LENGTH: 4,
  /** u32 */
  VERSION_LOW: 8,
  /** u16 */
  VERSION_HIGH: 12,
  /** u8 */
  PLACE_HIGH: 14,
  /** u32, in units */
  PLACE_LOW: 15,
  /** The key, then the value or the u32 number of its blob, then the f64 expiry. */
  KEY: 19,
} as const;
const EXPIRY_BYTES = 8;
const BLOB_BYTES = 4;

/** The first word of a new record, without flags. */
export function headOf({ keyLength, size }: { keyLength: number; size: number }): number {
  return ((size / UNIT_BYTES) << CAPACITY_SHIFT) | (keyLength << KEY_LENGTH_SHIFT);
}

/** The length of the key of a record with this first word, in bytes. */
export function keyLengthIn(head: number): number {
  return (head >>> KEY_LENGTH_SHIFT) & KEY_LENGTH_MASK;
}

/** The room of a record with this first word, in bytes. */
export function capacityIn(head: number): number {
  return (head >>> CAPACITY_SHIFT) * UNIT_BYTES;
}

/** The bytes that a value takes in a record with these flags. */
export function roomOfValue(flags: number, valueLength: number): number {
  if ((flags & (FLAG.COLD | FLAG.BLOB)) === 0) return valueLength;
  return (flags & FLAG.BLOB) === 0 ? 0 : BLOB_BYTES;
}

/** Where the expiry of a record is, from its start, or would be, in bytes. */
export function expiryAt(head: number, valueLength: number): number {
  return AT.KEY + keyLengthIn(head) + roomOfValue(head, valueLength);
}

/** The bytes of a record that are in use. */
export function usedIn(head: number, valueLength: number): number {
  return expiryAt(head, valueLength) + ((head & FLAG.EXPIRES) === 0 ? 0 : EXPIRY_BYTES);
}

/** The room for a record whose value takes so many bytes in it, in bytes: whole units. */
export function roomFor(keyLength: number, valueRoom: number, expiresAt: number): number {
  const length = AT.KEY + keyLength + valueRoom + (expiresAt === 0 ? 0 : EXPIRY_BYTES);
  return (length + UNIT_BYTES - 1) & -UNIT_BYTES;
}
