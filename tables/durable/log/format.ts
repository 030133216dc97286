/**
 * The bytes of the log: segments, turns and records. `docs/file-format.md` describes them for people.
 *
 * The file consists of slots of one size. A segment begins at a slot, with a header, and has one slot or
 * several in a row. Its turns follow each other without a gap: a header, then a record for each change. All
 * integers are little-endian, and all offsets are multiples of eight bytes.
 *
 * @module
 */

import {
  type Change,
  changeBytes,
  changeBytesAt,
  sizeOfChange,
  writeChange,
} from "../../change.ts";
import { Memory } from "../../text.ts";
import { checksum } from "./checksum.ts";

/** The size of a slot, in bytes. */
export const SLOT_BYTES = 8_388_608;

const SEGMENT_MAGIC = 0x31534c4b; // "KLS1"
const TURN_MAGIC = 0x31544c4b; // "KLT1"
const CHECKSUM = 4; // u32, in both headers: of all that follows in the header

// The header of a segment.
const SALT = 8; // u32
const NUMBER = 12; // u32
const SLOTS = 16; // u32
const SLOT_SIZE = 20; // u32
const FIRST_SEQUENCE = 24; // f64
const FIRST_OLDEST = 32; // u32
const INDEX = 36; // u32, in units of eight bytes
/** The size of a segment's header, in bytes. */
export const SEGMENT_HEADER_BYTES = 40;

// The header of a turn.
const LENGTH = 8; // u32
const COUNT = 12; // u32
const SEQUENCE = 16; // f64
const VERSION = 24; // f64
const OLDEST = 32; // u32
const RECORDS = 36; // u32: the checksum of all records
/** The size of a turn's header, in bytes. */
export const TURN_HEADER_BYTES = 40;

// A record: its checksum, then the change, padded with zeros.
const RECORD_CHECKSUM_BYTES = 4;
/** What offsets are multiples of. */
export const ALIGNMENT = 8;

/** What the header of a segment says. */
export interface SegmentHeader {
  /** Tells the segments of one table from those of others. */
  readonly salt: number;
  /** Counts the segments of a table, from 1 on; no number is used again. */
  readonly number: number;
  /** How many slots it has. */
  readonly slots: number;
  /** The size of a slot, in bytes. */
  readonly slotBytes: number;
  /** The sequence number of the turn before its first. */
  readonly sequence: number;
  /** The number of the oldest segment that was needed when it was begun. */
  readonly oldest: number;
  /** Where the record with the index of the segment before starts, in bytes from its own start; 0 if there is none. */
  readonly index: number;
}

/** What the header of a turn says, and where the turn is. */
export interface TurnHeader {
  /** Where it starts in its memory, in bytes. */
  readonly offset: number;
  /** Its length, header included, in bytes. */
  readonly length: number;
  /** How many records it has. */
  readonly count: number;
  /** One more than that of the turn before. */
  readonly sequence: number;
  /** The last version that the table has given. */
  readonly version: number;
  /** The number of the oldest segment that holds anything from here on. */
  readonly oldest: number;
  /** The checksum of all its records, with their padding. */
  readonly records: number;
}

/** The seed of all checksums within a segment: the previous content of its slot is not valid under it. */
export function seedOf({ salt, number }: Pick<SegmentHeader, "salt" | "number">): number {
  return salt ^ Math.imul(number, 0x9e3779b1);
}

/** Writes the header of a segment to the start of this memory. */
export function writeSegmentHeader(header: SegmentHeader, memory: Memory): void {
  const { view } = memory;
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint32(SALT, header.salt, true);
  view.setUint32(NUMBER, header.number, true);
  view.setUint32(SLOTS, header.slots, true);
  view.setUint32(SLOT_SIZE, header.slotBytes, true);
  view.setFloat64(FIRST_SEQUENCE, header.sequence, true);
  view.setUint32(FIRST_OLDEST, header.oldest, true);
  view.setUint32(INDEX, header.index / ALIGNMENT, true);
  const sum = checksum(memory, SALT, SEGMENT_HEADER_BYTES, header.salt);
  view.setUint32(CHECKSUM, sum, true);
}

/** Reads the header of a segment; undefined if there is no whole one. */
export function decodeSegmentHeader(memory: Memory): SegmentHeader | undefined {
  const { view } = memory;
  if (SEGMENT_HEADER_BYTES > memory.bytes.length) return undefined;
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return undefined;
  const salt = view.getUint32(SALT, true);
  const sum = checksum(memory, SALT, SEGMENT_HEADER_BYTES, salt);
  if (sum !== view.getUint32(CHECKSUM, true)) return undefined;
  return {
    salt,
    number: view.getUint32(NUMBER, true),
    slots: view.getUint32(SLOTS, true),
    slotBytes: view.getUint32(SLOT_SIZE, true),
    sequence: view.getFloat64(FIRST_SEQUENCE, true),
    oldest: view.getUint32(FIRST_OLDEST, true),
    index: view.getUint32(INDEX, true) * ALIGNMENT,
  };
}

/** Fills in the header of the turn at an offset, where its memory ends, and the checksums of its records. */
export function sealTurn(
  memory: Memory,
  { seed, offset, length, ...turn }: Omit<TurnHeader, "count" | "records"> & { seed: number },
): void {
  const { view } = memory;
  const [start, end] = [offset + TURN_HEADER_BYTES, offset + length];
  let count = 0;
  for (let at = start; at < end; count++) {
    const recordEnd = changeIn(at) + changeBytesAt(memory, changeIn(at));
    view.setUint32(at, checksum(memory, changeIn(at), recordEnd, seed), true);
    at = aligned(recordEnd);
  }
  view.setUint32(offset, TURN_MAGIC, true);
  view.setUint32(offset + LENGTH, length, true);
  view.setUint32(offset + COUNT, count, true);
  view.setFloat64(offset + SEQUENCE, turn.sequence, true);
  view.setFloat64(offset + VERSION, turn.version, true);
  view.setUint32(offset + OLDEST, turn.oldest, true);
  view.setUint32(offset + RECORDS, checksum(memory, start, end, seed), true);
  view.setUint32(offset + CHECKSUM, checksum(memory, offset + LENGTH, start, seed), true);
}

/** The header of the turn at an offset; undefined if there is no whole one. Its records may be torn. */
export function turnHeaderAt(memory: Memory, offset: number, seed: number): TurnHeader | undefined {
  const { view } = memory;
  if (offset + TURN_HEADER_BYTES > memory.bytes.length) return undefined;
  if (view.getUint32(offset, true) !== TURN_MAGIC) return undefined;
  const sum = checksum(memory, offset + LENGTH, offset + TURN_HEADER_BYTES, seed);
  if (sum !== view.getUint32(offset + CHECKSUM, true)) return undefined;
  return {
    offset,
    length: view.getUint32(offset + LENGTH, true),
    count: view.getUint32(offset + COUNT, true),
    sequence: view.getFloat64(offset + SEQUENCE, true),
    version: view.getFloat64(offset + VERSION, true),
    oldest: view.getUint32(offset + OLDEST, true),
    records: view.getUint32(offset + RECORDS, true),
  };
}

/** Whether the records of a turn have the checksum in its header. */
export function isWholeTurn(
  memory: Memory,
  { offset, length, records }: TurnHeader,
  seed: number,
): boolean {
  const end = offset + length;
  return end <= memory.bytes.length &&
    checksum(memory, offset + TURN_HEADER_BYTES, end, seed) === records;
}

/** The size of a record with a key and a value of these lengths, in bytes. */
export function recordBytes(keyLength: number, valueLength: number, expiresAt: number): number {
  return aligned(RECORD_CHECKSUM_BYTES + changeBytes(keyLength, valueLength, expiresAt));
}

/** The size of the record of a change, in bytes. */
export function sizeOfRecord(change: Change): number {
  return aligned(RECORD_CHECKSUM_BYTES + sizeOfChange(change));
}

/** Writes the record of a change, except its checksum, which `sealTurn` adds. */
export function writeRecord(change: Change, to: Memory, at: number): void {
  const end = at + sizeOfRecord(change);
  to.view.setBigInt64(end - ALIGNMENT, 0n, true); // The padding.
  writeChange(change, to, at + RECORD_CHECKSUM_BYTES);
}

/** Where the change of a record starts. */
export function changeIn(record: number): number {
  return record + RECORD_CHECKSUM_BYTES;
}

/** The size of the record at an offset, as it says itself; undefined if it would not end by `end`. */
export function recordBytesAt(memory: Memory, at: number, end: number): number | undefined {
  if (at + RECORD_CHECKSUM_BYTES + changeBytes(0, 0, 0) > end) return undefined;
  const length = aligned(
    RECORD_CHECKSUM_BYTES + changeBytesAt(memory, at + RECORD_CHECKSUM_BYTES),
  );
  return at + length > end ? undefined : length;
}

/** Whether the record at an offset has its checksum; its size must be within its memory. */
export function isWholeRecord(memory: Memory, at: number, seed: number): boolean {
  const start = at + RECORD_CHECKSUM_BYTES;
  const sum = checksum(memory, start, start + changeBytesAt(memory, start), seed);
  return sum === memory.view.getUint32(at, true);
}

/** The next multiple of eight. */
export function aligned(bytes: number): number {
  // Not with bits alone: a turn may be longer than 2 GiB.
  return bytes + (-bytes & (ALIGNMENT - 1));
}
