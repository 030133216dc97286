/**
 * A record of the log: the changes of one turn, with a header that tells whole records from torn and stale
 * ones.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Memory } from "../text.ts";

// Little-endian: this header, then the changes, padded with zeros to a multiple of eight bytes.
const MAGIC = 0; // u32: "KLR1"
const LENGTH = 4; // u32, in bytes, header and padding included
const CHECKSUM = 8; // u32: CRC-32 of all that follows, seeded with the table's salt
const COUNT = 12; // u32
const TURN = 16; // f64
const FIRST_CHANGE = 24; // f64
/** The size of the header. */
export const RECORD_HEADER_BYTES = 32;
const MAGIC_NUMBER = 0x31524c4b;
const CHECKED_FROM = 12;
/** Offsets of records are multiples of this. */
export const RECORD_ALIGNMENT = 8;

/** A record, and its place in a segment. */
export interface LogRecord {
  /** Its offset in the segment, in bytes. */
  readonly offset: number;
  /** Its length, in bytes. */
  readonly length: number;
  /** The number of its turn: one more than that of the record before. */
  readonly turn: number;
  /** The number of its first change. */
  readonly firstChange: number;
  /** The number of its last change. */
  readonly lastChange: number;
}

/**
 * Pads the record at the start of this memory, which is `length` long, fills in its header, and returns its
 * length.
 */
export function sealRecord(
  memory: Memory,
  { length, turn, firstChange, count, salt }: {
    length: number;
    turn: number;
    firstChange: number;
    count: number;
    salt: number;
  },
): number {
  const { bytes, view } = memory;
  const padded = (length + RECORD_ALIGNMENT - 1) & ~(RECORD_ALIGNMENT - 1);
  bytes.fill(0, length, padded);
  view.setUint32(MAGIC, MAGIC_NUMBER, true);
  view.setUint32(LENGTH, padded, true);
  view.setUint32(COUNT, count, true);
  view.setFloat64(TURN, turn, true);
  view.setFloat64(FIRST_CHANGE, firstChange, true);
  view.setUint32(CHECKSUM, crc32(bytes.subarray(CHECKED_FROM, padded), salt), true);
  return padded;
}

/** The length of the record at an offset, including header and padding. */
export function lengthAt({ view }: Memory, offset: number): number {
  return view.getUint32(offset + LENGTH, true);
}

/**
 * The record at an offset; undefined if there is no whole one. A record without a change after `after` is
 * passed over without reading it.
 */
export function recordAt(
  { bytes, view }: Memory,
  { offset, salt, after = 0 }: { offset: number; salt: number; after?: number },
): LogRecord | undefined {
  if (offset + RECORD_HEADER_BYTES > bytes.length) return undefined;
  if (view.getUint32(offset + MAGIC, true) !== MAGIC_NUMBER) return undefined;
  const length = view.getUint32(offset + LENGTH, true);
  if (length < RECORD_HEADER_BYTES || offset + length > bytes.length) return undefined;
  const firstChange = view.getFloat64(offset + FIRST_CHANGE, true);
  const lastChange = firstChange + view.getUint32(offset + COUNT, true) - 1;
  if (!(lastChange > after)) return undefined;
  const checked = bytes.subarray(offset + CHECKED_FROM, offset + length);
  if (crc32(checked, salt) !== view.getUint32(offset + CHECKSUM, true)) return undefined;
  return { offset, length, turn: view.getFloat64(offset + TURN, true), firstChange, lastChange };
}
