/**
 * The index of a sealed segment: what each of its records says, without the values, and where it is. A start
 * reads it instead of the whole segment. It stands at the end of the segment's room, is written when there is
 * time, and nothing rests on it: without it, or where it is damaged, the segment itself is read.
 *
 * A segment of small records has none: it would not be much smaller than they are.
 *
 * @module
 */

import { type Change, changeBytes, copyHeadOfChange, readHeadOfChange } from "../../change.ts";
import { Memory } from "../../text.ts";
import { checksum } from "./checksum.ts";
import type { PositionedFile } from "./file.ts";
import { aligned, changeIn, recordBytesAt, TURN_HEADER_BYTES } from "./format.ts";
import { readTurns } from "./chain.ts";
import type { Segment } from "./segment.ts";

/** The most that an index takes of its segment. */
const SHARE_MAX = 1 / 8;

// The trailer, at the very end of the segment. Little-endian.
const MAGIC = 0; // u32: "KLI1"
const CHECKSUM = 4; // u32: of the entries and what follows here
const LENGTH = 8; // u32: of the entries, in bytes
const END = 12; // u32: where the last turn ends, in units of eight bytes
const SEQUENCE = 16; // f64: of the last turn
const VERSION = 24; // f64: the last that the table has given
const TRAILER_BYTES = 32;
const MAGIC_NUMBER = 0x31494c4b;

// An entry: the record's offset in the segment in units of eight bytes, then the head of its change, with the
// key and without the value.
const OFFSET_BYTES = 4;
const UNIT_BYTES = 8;

/** The index of a segment. */
export interface SegmentIndex {
  /** Where the last turn ends, in bytes from the segment's start. */
  readonly end: number;
  /** The sequence number of the last turn. */
  readonly sequence: number;
  /** The last version that the table had given by then. */
  readonly version: number;
  /** The entries as bytes. */
  readonly entries: Memory;
}

/** A record by its index: its change without the value. */
export interface IndexEntry extends Omit<Change, "value"> {
  /** The length of the value, in bytes. */
  readonly valueLength: number;
  /** Where the record starts, in bytes from the segment's start. */
  readonly offset: number;
}

/** The size of the entry for a record, in bytes. */
export function entryBytes({ key, expiresAt }: Pick<Change, "key" | "expiresAt">): number {
  return OFFSET_BYTES + changeBytes(key.length, 0, expiresAt);
}

/** The room that an index of so many bytes takes; 0 if it is not worth it. */
export function indexRoom(bytes: number, segmentBytes: number): number {
  const room = aligned(bytes) + TRAILER_BYTES;
  return room > segmentBytes * SHARE_MAX ? 0 : room;
}

/** Reads the index of a segment; undefined if it has no whole one. */
export function readIndex(file: PositionedFile, segment: Segment): SegmentIndex | undefined {
  const trailer = new Memory(TRAILER_BYTES);
  const at = segment.start + segment.size - TRAILER_BYTES;
  if (file.read(trailer.bytes, at) < TRAILER_BYTES) return undefined;
  if (trailer.view.getUint32(MAGIC, true) !== MAGIC_NUMBER) return undefined;
  const length = trailer.view.getUint32(LENGTH, true);
  if (length > segment.size * SHARE_MAX) return undefined;
  const memory = new Memory(length + TRAILER_BYTES);
  if (file.read(memory.bytes, at - length) < memory.bytes.length) return undefined;
  const { view } = memory;
  const sum = view.getUint32(length + CHECKSUM, true);
  if (sumOf(memory, length, segment.seed) !== sum) return undefined;
  return {
    end: view.getUint32(length + END, true) * UNIT_BYTES,
    sequence: view.getFloat64(length + SEQUENCE, true),
    version: view.getFloat64(length + VERSION, true),
    entries: new Memory(memory.bytes.subarray(0, length)),
  };
}

/** The entries of an index, in the order of their records. */
export function* entriesOf({ entries }: Pick<SegmentIndex, "entries">): Generator<IndexEntry> {
  for (let at = 0; at + OFFSET_BYTES < entries.bytes.length;) {
    const offset = entries.view.getUint32(at, true) * UNIT_BYTES;
    if (offset === 0) return; // Padding.
    const change = readHeadOfChange(entries, at + OFFSET_BYTES);
    yield { ...change, offset };
    at += OFFSET_BYTES + changeBytes(change.key.length, 0, change.expiresAt);
  }
}

/** Makes the index of a sealed segment from its records; undefined if they are damaged, or it has no room. */
export function makeIndex(file: PositionedFile, segment: Segment): Memory | undefined {
  const { memory, turns } = readTurns(file, segment);
  const last = turns.at(-1);
  if (last?.next === undefined) return undefined;
  const index = new Memory(indexRoom(segment.indexBytes, segment.size));
  const length = index.bytes.length - TRAILER_BYTES;
  // The room was kept free for another size, if turns were undone, or the segment was made for a large one.
  if (last.offset + last.length + index.bytes.length > segment.size) return undefined;
  let at = 0;
  for (const turn of turns) {
    const end = turn.offset + turn.length;
    for (let record = turn.offset + TURN_HEADER_BYTES; record < end;) {
      index.view.setUint32(at, record / UNIT_BYTES, true);
      at += OFFSET_BYTES;
      at += copyHeadOfChange(memory, changeIn(record), index, at);
      record += recordBytesAt(memory, record, end)!;
    }
  }
  if (at > length) throw new Error("An index is larger than its segment has counted");
  const { view } = index;
  view.setUint32(length + MAGIC, MAGIC_NUMBER, true);
  view.setUint32(length + LENGTH, length, true);
  view.setUint32(length + END, (last.offset + last.length) / UNIT_BYTES, true);
  view.setFloat64(length + SEQUENCE, last.sequence, true);
  view.setFloat64(length + VERSION, last.version, true);
  view.setUint32(length + CHECKSUM, sumOf(index, length, segment.seed), true);
  return index;
}

/** The checksum of an index: that of the trailer, seeded by that of the entries. */
function sumOf(memory: Memory, length: number, seed: number): number {
  const entries = checksum(memory, 0, length, seed);
  return checksum(memory, length + LENGTH, length + TRAILER_BYTES, entries);
}
