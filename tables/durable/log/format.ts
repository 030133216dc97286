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
import { addToDigest, checksum } from "./checksum.ts";

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
const FIRST_VERSION = 24; // f64
const FIRST_OLDEST = 32; // u32
/** The size of a segment's header, in bytes. */
export const SEGMENT_HEADER_BYTES = 40;

// The header of a turn.
const LENGTH = 8; // u32
const COUNT = 12; // u32
const SEQUENCE = 16; // f64
const VERSION = 24; // f64
const OLDEST = 32; // u32
const NEXT = 36; // u32
const DIGEST = 40; // u32
/** The size of a turn's header, in bytes. */
export const TURN_HEADER_BYTES = 48;

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
  /** The last version that the table had given when the header was written. */
  readonly version: number;
  /** The number of the oldest segment that was needed then. */
  readonly oldest: number;
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
  /** The slot of the next segment, if this turn is the last of its own. */
  readonly next: number | undefined;
  /** Of the checksums of its records. */
  readonly digest: number;
}

/** The seed of all checksums within a segment: what its slot held before is not valid under it. */
export function seedOf({ salt, number }: Pick<SegmentHeader, "salt" | "number">): number {
  return salt ^ Math.imul(number, 0x9e3779b1);
}

/** The header of a segment as bytes. */
export function encodeSegmentHeader(header: SegmentHeader): Memory {
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  const { view } = memory;
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint32(SALT, header.salt, true);
  view.setUint32(NUMBER, header.number, true);
  view.setUint32(SLOTS, header.slots, true);
  view.setUint32(SLOT_SIZE, header.slotBytes, true);
  view.setFloat64(FIRST_VERSION, header.version, true);
  view.setUint32(FIRST_OLDEST, header.oldest, true);
  const sum = checksum(memory, SALT, SEGMENT_HEADER_BYTES, header.salt);
  view.setUint32(CHECKSUM, sum, true);
  return memory;
}

/** Reads the header of a segment; undefined if there is no whole one. */
export function decodeSegmentHeader(memory: Memory, offset = 0): SegmentHeader | undefined {
  const { view } = memory;
  if (offset + SEGMENT_HEADER_BYTES > memory.bytes.length) return undefined;
  if (view.getUint32(offset, true) !== SEGMENT_MAGIC) return undefined;
  const salt = view.getUint32(offset + SALT, true);
  const sum = checksum(memory, offset + SALT, offset + SEGMENT_HEADER_BYTES, salt);
  if (sum !== view.getUint32(offset + CHECKSUM, true)) return undefined;
  return {
    salt,
    number: view.getUint32(offset + NUMBER, true),
    slots: view.getUint32(offset + SLOTS, true),
    slotBytes: view.getUint32(offset + SLOT_SIZE, true),
    version: view.getFloat64(offset + FIRST_VERSION, true),
    oldest: view.getUint32(offset + FIRST_OLDEST, true),
  };
}

/** Fills in the header of the turn at the start of this memory, and the checksums of its records. */
export function sealTurn(
  memory: Memory,
  { seed, next, ...turn }: Omit<TurnHeader, "offset" | "count" | "digest"> & { seed: number },
): void {
  const { view } = memory;
  let [digest, count] = [0, 0];
  for (let at = TURN_HEADER_BYTES; at < turn.length; count++) {
    const end = at + RECORD_CHECKSUM_BYTES + changeBytesAt(memory, at + RECORD_CHECKSUM_BYTES);
    const sum = checksum(memory, at + RECORD_CHECKSUM_BYTES, end, seed);
    view.setUint32(at, sum, true);
    digest = addToDigest(digest, sum);
    at = aligned(end);
  }
  view.setUint32(0, TURN_MAGIC, true);
  view.setUint32(LENGTH, turn.length, true);
  view.setUint32(COUNT, count, true);
  view.setFloat64(SEQUENCE, turn.sequence, true);
  view.setFloat64(VERSION, turn.version, true);
  view.setUint32(OLDEST, turn.oldest, true);
  view.setUint32(NEXT, next === undefined ? 0 : next + 1, true);
  view.setUint32(DIGEST, digest >>> 0, true);
  view.setUint32(DIGEST + 4, 0, true);
  view.setUint32(CHECKSUM, checksum(memory, LENGTH, TURN_HEADER_BYTES, seed), true);
}

/** The header of the turn at an offset; undefined if there is no whole one. Its records may be torn. */
export function turnHeaderAt(memory: Memory, offset: number, seed: number): TurnHeader | undefined {
  const { view } = memory;
  if (offset + TURN_HEADER_BYTES > memory.bytes.length) return undefined;
  if (view.getUint32(offset, true) !== TURN_MAGIC) return undefined;
  const sum = checksum(memory, offset + LENGTH, offset + TURN_HEADER_BYTES, seed);
  if (sum !== view.getUint32(offset + CHECKSUM, true)) return undefined;
  const next = view.getUint32(offset + NEXT, true);
  return {
    offset,
    length: view.getUint32(offset + LENGTH, true),
    count: view.getUint32(offset + COUNT, true),
    sequence: view.getFloat64(offset + SEQUENCE, true),
    version: view.getFloat64(offset + VERSION, true),
    oldest: view.getUint32(offset + OLDEST, true),
    next: next === 0 ? undefined : next - 1,
    digest: view.getUint32(offset + DIGEST, true),
  };
}

/** The offset of the first record of a turn that is damaged, or its end if its digest is; undefined if it is whole. */
export function damageOf(memory: Memory, turn: TurnHeader, seed: number): number | undefined {
  const end = turn.offset + turn.length;
  if (end > memory.bytes.length) return memory.bytes.length;
  let digest = 0;
  let at = turn.offset + TURN_HEADER_BYTES;
  for (let i = 0; i < turn.count; i++) {
    const length = recordBytesAt(memory, at, end);
    if (length === undefined || !isWholeRecord(memory, at, seed)) return at;
    digest = addToDigest(digest, memory.view.getUint32(at, true));
    at += length;
  }
  return at === end && digest >>> 0 === turn.digest ? undefined : end;
}

/** The size of a record with a key and a value of these lengths, in bytes. */
export function recordBytes(keyLength: number, valueLength: number, expiresAt: number): number {
  return aligned(RECORD_CHECKSUM_BYTES + changeBytes(keyLength, valueLength, expiresAt));
}

/** The size of the record of a change, in bytes. */
export function sizeOfRecord(change: Change): number {
  return aligned(RECORD_CHECKSUM_BYTES + sizeOfChange(change));
}

/** Writes the record of a change, but for its checksum, which `sealTurn` adds. */
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
