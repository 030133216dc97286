/**
 * A record of a flat store: the bytes of one entry. This file alone knows their layout; every function takes
 * the place of a record as the memory, or its view, and the offset there.
 *
 * A header comes first, its integers little-endian; then the key, the value and, in a record that expires,
 * an f64 that says when. The whole is padded to a multiple of eight bytes.
 *
 * @module
 */

import { copyText, type Memory, Text } from "../text.ts";

/** What a record holds besides its key and its value. */
export interface Fields {
  /** Grows with every change of a table; below 2 to the power of 48. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
  /** Bits of FLAG. */
  readonly flags: number;
  /** The number of the change in a durable table's log, of which a record keeps 32 bits; 0 in memory. */
  readonly number: number;
}

/** The state of a record, as bits. */
export const FLAG = {
  /** The key has been deleted. */
  TOMBSTONE: 1,
  /** A durable table has a row for this key. */
  IN_ROWS: 2,
  /** The newest change of the key is in the log's first segment, and in no row. */
  DIRTY_0: 4,
  /** The same for its second segment. */
  DIRTY_1: 8,
  /** The record has been read since eviction last passed it. */
  RECENT: 16,
  /** Nothing refers to the record any longer. */
  FREED: 32,
} as const;

/** The flags of a record that differs from its row, or has none. */
export const DIRTY: number = FLAG.DIRTY_0 | FLAG.DIRTY_1;

/** The flag of a record whose newest change is in this segment of the log. */
export function dirtyFlag(parity: 0 | 1): number {
  return parity === 0 ? FLAG.DIRTY_0 : FLAG.DIRTY_1;
}

/** No record. */
export const NO_REF = 0;

// The header. Its first word packs what a search needs before it reads the key.
const HEAD = 0; // u32, see below
const VALUE_LENGTH = 4; // u32, in bytes
const VERSION_LOW = 8; // u32
const VERSION_HIGH = 12; // u16
const NUMBER = 14; // u32
const HEADER_BYTES = 18;

// The bits of the first word: six of FLAG, one unused, and these.
const FLAGS_MASK = 0x3f;
const EXPIRES = 0x80;
/** The length of the key in bytes, in 11 bits. */
const KEY_LENGTH_SHIFT = 8;
const KEY_LENGTH_MASK = 0x7ff;
/** The room of the record in units, in 13 bits; 0 if it has a segment of its own. */
const CAPACITY_SHIFT = 19;

const EXPIRY_BYTES = 8;
const UNIT_BYTES = 8;
const TWO_TO_32 = 2 ** 32;
/** The most room that fits into those bits, in bytes: a larger record has a segment of its own. */
export const CAPACITY_BYTES_MAX: number = (2 ** 13 - 1) * UNIT_BYTES;

/** The room that a record takes, in bytes, for a key and a value of these lengths. */
export function recordBytes(
  keyLength: number,
  { valueLength, expiresAt }: { valueLength: number; expiresAt: number },
): number {
  const length = HEADER_BYTES + keyLength + valueLength + (expiresAt === 0 ? 0 : EXPIRY_BYTES);
  return (length + UNIT_BYTES - 1) & -UNIT_BYTES;
}

/** Writes a new record. `size` is its room, as `recordBytes` gives it. */
export function writeRecord(
  memory: Memory,
  at: number,
  { key, value, fields, size }: { key: Text; value: Text; fields: Fields; size: number },
): void {
  const keyLength = key.end - key.start;
  const units = size <= CAPACITY_BYTES_MAX ? size / UNIT_BYTES : 0;
  memory.view.setInt32(
    at + HEAD,
    (units << CAPACITY_SHIFT) | (keyLength << KEY_LENGTH_SHIFT),
    true,
  );
  copyText(key, memory, at + HEADER_BYTES);
  overwriteRecord(memory, at, { value, fields });
}

/** Replaces the value and the fields of a record; its key and its room stay. */
export function overwriteRecord(
  memory: Memory,
  at: number,
  { value, fields }: { value: Text; fields: Fields },
): void {
  const { view } = memory;
  const { version, expiresAt, flags, number } = fields;
  const head = view.getInt32(at + HEAD, true) & ~(FLAGS_MASK | EXPIRES);
  const start = at + HEADER_BYTES + keyLengthIn(head);
  const end = start + value.end - value.start;
  view.setInt32(at + HEAD, head | flags | (expiresAt === 0 ? 0 : EXPIRES), true);
  view.setUint32(at + VALUE_LENGTH, end - start, true);
  // What has no room in 32 bits is dropped here, as by `>>> 0`.
  view.setUint32(at + VERSION_LOW, version, true);
  view.setUint16(at + VERSION_HIGH, version / TWO_TO_32, true);
  view.setUint32(at + NUMBER, number, true);
  copyText(value, memory, start);
  if (expiresAt !== 0) view.setFloat64(end, expiresAt, true);
}

/** The key of a record. */
export function keyAt(memory: Memory, at: number): Text {
  const start = at + HEADER_BYTES;
  return new Text(memory, start, start + keyLengthAt(memory.view, at));
}

/** The length of a record's key, in bytes. */
export function keyLengthAt(view: DataView, at: number): number {
  return keyLengthIn(view.getInt32(at + HEAD, true));
}

/** Whether a record has this key. */
export function hasKeyAt({ bytes, view }: Memory, at: number, key: Text): boolean {
  if (keyLengthAt(view, at) !== key.end - key.start) return false;
  const shift = at + HEADER_BYTES - key.start;
  const other = key.memory;
  let i = key.start;
  for (; i + 4 <= key.end; i += 4) {
    if (other.view.getInt32(i, true) !== view.getInt32(i + shift, true)) return false;
  }
  for (; i < key.end; i++) if (other.bytes[i] !== bytes[i + shift]) return false;
  return true;
}

/** The value of a record. */
export function valueAt(memory: Memory, at: number): Text {
  const { view } = memory;
  const start = at + HEADER_BYTES + keyLengthAt(view, at);
  return new Text(memory, start, start + view.getUint32(at + VALUE_LENGTH, true));
}

/** The fields of a record. */
export function fieldsAt(view: DataView, at: number): Fields {
  return {
    version: versionAt(view, at),
    expiresAt: expiryAt(view, at),
    flags: flagsAt(view, at),
    number: view.getUint32(at + NUMBER, true),
  };
}

/** The version of a record. */
export function versionAt(view: DataView, at: number): number {
  return view.getUint16(at + VERSION_HIGH, true) * TWO_TO_32 +
    view.getUint32(at + VERSION_LOW, true);
}

/** When a record expires, in milliseconds since 1970; 0 if it does not. */
export function expiryAt(view: DataView, at: number): number {
  const head = view.getInt32(at + HEAD, true);
  if ((head & EXPIRES) === 0) return 0;
  const valueLength = view.getUint32(at + VALUE_LENGTH, true);
  return view.getFloat64(at + HEADER_BYTES + keyLengthIn(head) + valueLength, true);
}

/** Whether a record is no tombstone and has not expired by this clock, in milliseconds since 1970. */
export function isVisibleAt(view: DataView, at: number, now: () => number): boolean {
  const head = view.getInt32(at + HEAD, true);
  if ((head & FLAG.TOMBSTONE) !== 0) return false;
  return (head & EXPIRES) === 0 || expiryAt(view, at) > now();
}

/** Whether a record is of the log's change with this number, by the low 32 bits. */
export function hasNumberAt(view: DataView, at: number, number: number): boolean {
  return view.getUint32(at + NUMBER, true) === number >>> 0;
}

/** The flags of a record. */
export function flagsAt(view: DataView, at: number): number {
  return view.getInt32(at + HEAD, true) & FLAGS_MASK;
}

/** Sets the flags of a record. */
export function setFlagsAt(view: DataView, at: number, flags: number): void {
  view.setInt32(at + HEAD, (view.getInt32(at + HEAD, true) & ~FLAGS_MASK) | flags, true);
}

/** The room of a record, in bytes; 0 if it has a segment of its own. */
export function capacityAt(view: DataView, at: number): number {
  return (view.getInt32(at + HEAD, true) >>> CAPACITY_SHIFT) * UNIT_BYTES;
}

/** The bytes of a record that are in use. */
export function usedBytesAt(view: DataView, at: number): number {
  const head = view.getInt32(at + HEAD, true);
  const valueLength = view.getUint32(at + VALUE_LENGTH, true);
  const expiryBytes = (head & EXPIRES) === 0 ? 0 : EXPIRY_BYTES;
  return HEADER_BYTES + keyLengthIn(head) + valueLength + expiryBytes;
}

function keyLengthIn(head: number): number {
  return (head >>> KEY_LENGTH_SHIFT) & KEY_LENGTH_MASK;
}
