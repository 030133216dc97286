/**
 * A record of a flat store: one entry as bytes, and how they are laid out.
 *
 * @module
 */

/** What a record holds beside its key and its value. */
export interface Fields {
  /** Grows with every change of a table. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; 0 where it does not. */
  readonly expiresAt: number;
  /** Bits of FLAG. */
  readonly flags: number;
  /** Which change of a log this is, so that a durable table knows the newest; 0 in memory. */
  readonly number: number;
}

/** What a record says of itself, as bits. */
export const FLAG = {
  /** The key has been deleted. */
  TOMBSTONE: 1,
  /** A durable table has a row for this key beneath the record. */
  IN_ROWS: 2,
  /** The newest change of the key is in the log's first segment, and in no row. */
  DIRTY_0: 4,
  /** The same for its second segment. */
  DIRTY_1: 8,
  /** It was read since eviction last passed by. */
  RECENT: 16,
  /** Nothing refers to the record any more. */
  FREED: 32,
} as const;

/** No record. */
export const NO_REF = 0;

/**
 * Where the parts of a record's header are, in bytes, little-endian. The key follows it, then the value; both
 * are padded to a multiple of eight.
 */
export const OFFSET = {
  /** u32: the length of the value, in bytes. */
  VALUE_LENGTH: 0,
  /** u16: the length of the key, in bytes. */
  KEY_LENGTH: 4,
  /** u16: the room of the record, in units of eight bytes; 0 where it has a segment of its own. */
  CAPACITY: 6,
  /** u32: the low bits of the version. */
  VERSION_LOW: 8,
  /** u16: its high bits. */
  VERSION_HIGH: 12,
  /** u16: bits of FLAG. */
  FLAGS: 14,
  /** f64: when the entry expires, in milliseconds since 1970; 0 where it does not. */
  EXPIRES_AT: 16,
  /** f64: which change of a log this is. */
  NUMBER: 24,
} as const;

/** How many bytes of a record come before its key. */
export const HEADER_BYTES = 32;

/** How much room a record with a key and a value of these lengths takes; all in bytes. */
export function recordBytes(keyLength: number, valueLength: number): number {
  return (HEADER_BYTES + keyLength + valueLength + 7) & ~7;
}
