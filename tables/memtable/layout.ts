/**
 * The layout of a record: a header, the key, the value, and in a record that expires an f64 that says when,
 * padded to whole units. Every function takes the place of a record as a view of memory and the offset there.
 *
 * The layout is known here alone, and its numbers are not exported: the engine compiles a module's own
 * constants into the code, but reads those of another module again each time.
 *
 * @module
 */

import { copyText, type Memory, type Text } from "../text.ts";
import { bytesOf, unitsFor } from "./slabs.ts";

/** What a record holds besides its key and its value. */
export interface Fields {
  /** Grows with every change of a table; below 2 to the power of 48. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
  /** Where the newest record of the key starts in a durable table's log, in bytes; 0 in memory. */
  readonly place: number;
}

// The header; little-endian. The key follows, then the value or the u32 number of its blob, then the expiry.
const HEAD = 0; // i32, see below
const VALUE_LENGTH = 4; // u32, in bytes
const VERSION_LOW = 8; // u32
const VERSION_HIGH = 12; // u16
const PLACE_HIGH = 14; // u8
const PLACE_LOW = 15; // u32, in units of the log
const HEADER_BYTES = 19;

// The first word: these flags, and all that a search needs before it reads the key. The length of the key has
// 11 bits, and the room of the record in units 13.
const COLD = 1;
const BLOB = 2;
const EXPIRES = 16;
/** The flags that a change of the record sets anew: all but LISTED. */
const FLAGS_MASK = 0x1f;
const KEY_LENGTH_SHIFT = 8;
const KEY_LENGTH_MASK = 0x7ff;
const CAPACITY_SHIFT = 19;

const EXPIRY_BYTES = 8;
const BLOB_BYTES = 4;
/** Records of the log start at a multiple of this, in bytes. */
const LOG_UNIT_BYTES = 8;
const TWO_TO_32 = 2 ** 32;

/** The state of a record, as bits of its first word. */
export const FLAG = {
  /** The value is not in memory. */
  COLD,
  /** The value is large, and stands among the blobs. */
  BLOB,
  /** The record has been read since eviction last passed it. */
  RECENT: 4,
  /** Nothing refers to the record any longer. */
  FREED: 8,
  /** The record has an expiry behind its value. */
  EXPIRES,
  /** The record is in the order by key. */
  LISTED: 32,
} as const;

/** The room for a record whose value takes so many bytes in it, in bytes: whole units. */
export function roomFor(keyLength: number, valueRoom: number, expiresAt: number): number {
  const length = HEADER_BYTES + keyLength + valueRoom + (expiresAt === 0 ? 0 : EXPIRY_BYTES);
  return bytesOf(unitsFor(length));
}

/** The bytes that a value takes in a record with these flags. */
export function roomOfValue(flags: number, valueLength: number): number {
  if ((flags & (COLD | BLOB)) === 0) return valueLength;
  return (flags & BLOB) === 0 ? 0 : BLOB_BYTES;
}

/** Begins a new record with this room: its key, and no flags. */
export function beginRecord(key: Text, size: number, to: Memory, at: number): void {
  const keyLength = key.end - key.start;
  const head = (unitsFor(size) << CAPACITY_SHIFT) | (keyLength << KEY_LENGTH_SHIFT);
  to.view.setInt32(at + HEAD, head, true);
  copyText(key, to, at + HEADER_BYTES);
}

/** Writes all of a record but its room, its key and its value. */
export function writeFields(
  view: DataView,
  at: number,
  { flags, valueLength, fields }: { flags: number; valueLength: number; fields: Fields },
): void {
  const { version, expiresAt, place } = fields;
  const head = (headAt(view, at) & ~FLAGS_MASK) | flags | (expiresAt === 0 ? 0 : EXPIRES);
  view.setInt32(at + HEAD, head, true);
  view.setUint32(at + VALUE_LENGTH, valueLength, true);
  // What has no room in 32 bits is dropped here, as by `>>> 0`.
  view.setUint32(at + VERSION_LOW, version, true);
  view.setUint16(at + VERSION_HIGH, version / TWO_TO_32, true);
  writePlace(view, at, place);
  if (expiresAt !== 0) view.setFloat64(at + expiryIn(head, valueLength), expiresAt, true);
}

/** Writes the place in the log alone. */
export function writePlace(view: DataView, at: number, place: number): void {
  const units = place / LOG_UNIT_BYTES;
  view.setUint8(at + PLACE_HIGH, units / TWO_TO_32);
  view.setUint32(at + PLACE_LOW, units, true);
}

/** Changes one of the flags. */
export function flipFlag(view: DataView, at: number, flag: number): void {
  view.setInt32(at + HEAD, headAt(view, at) ^ flag, true);
}

/** The first word of a record, of which the flags are bits. */
export function headAt(view: DataView, at: number): number {
  return view.getInt32(at + HEAD, true);
}

/** Whether the value is in the record. */
export function isInlineAt(view: DataView, at: number): boolean {
  return (headAt(view, at) & (COLD | BLOB)) === 0;
}

/** The room of a record, in bytes. */
export function capacityAt(view: DataView, at: number): number {
  return bytesOf(headAt(view, at) >>> CAPACITY_SHIFT);
}

/** The bytes of a record that are in use. */
export function usedBytesAt(view: DataView, at: number): number {
  const head = headAt(view, at);
  return expiryIn(head, valueLengthAt(view, at)) + ((head & EXPIRES) === 0 ? 0 : EXPIRY_BYTES);
}

/** The offset of the key. */
export function keyStart(at: number): number {
  return at + HEADER_BYTES;
}

/** The length of the key, in bytes. */
export function keyLengthAt(view: DataView, at: number): number {
  return keyLengthIn(headAt(view, at));
}

/** The offset of the value, or of the number of its blob. */
export function valueStart(view: DataView, at: number): number {
  return at + HEADER_BYTES + keyLengthAt(view, at);
}

/** The length of the value, wherever it is, in bytes. */
export function valueLengthAt(view: DataView, at: number): number {
  return view.getUint32(at + VALUE_LENGTH, true);
}

/** The version. */
export function versionAt(view: DataView, at: number): number {
  return view.getUint16(at + VERSION_HIGH, true) * TWO_TO_32 +
    view.getUint32(at + VERSION_LOW, true);
}

/** When the record expires, in milliseconds since 1970; 0 if it does not. */
export function expiryAt(view: DataView, at: number): number {
  const head = headAt(view, at);
  if ((head & EXPIRES) === 0) return 0;
  return view.getFloat64(at + expiryIn(head, valueLengthAt(view, at)), true);
}

/** Where the newest record of the key starts in the log, in bytes. */
export function placeAt(view: DataView, at: number): number {
  const units = view.getUint8(at + PLACE_HIGH) * TWO_TO_32 + view.getUint32(at + PLACE_LOW, true);
  return units * LOG_UNIT_BYTES;
}

function keyLengthIn(head: number): number {
  return (head >>> KEY_LENGTH_SHIFT) & KEY_LENGTH_MASK;
}

/** Where the expiry is, from the start of the record, or would be. */
function expiryIn(head: number, valueLength: number): number {
  return HEADER_BYTES + keyLengthIn(head) + roomOfValue(head, valueLength);
}
