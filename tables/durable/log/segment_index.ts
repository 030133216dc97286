/**
 * The index of a segment: what each of its records says, without the values, and where it is. A start reads it
 * instead of the whole segment. It is made of what each turn appends, and written to the end of the segment's
 * room once the log goes on in the next one. Nothing rests on it: without it, or where it is damaged, the
 * segment itself is read.
 *
 * A segment of small records has none: it would not be much smaller than they are.
 *
 * @module
 */

import { type Change, changeBytes, headBytesAt, readHeadOfChange } from "../../change.ts";
import { copyText, Memory, Text } from "../../text.ts";
import { checksum } from "./checksum.ts";
import type { PositionedFile } from "./file.ts";
import { aligned, changeIn, recordBytesAt } from "./format.ts";
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

/** The index of a segment that is being filled. */
export class IndexBuilder {
  readonly #bytesMax: number;
  #memory = new Memory(0);
  #length = 0;

  /** An index without entries, of a segment of this size. */
  constructor(segmentBytes: number) {
    this.#bytesMax = segmentBytes * SHARE_MAX;
  }

  /** The room that it takes with so many bytes of entries more; 0 if that would not be worth it. */
  roomWith(bytes: number): number {
    const room = aligned(this.#length + bytes) + TRAILER_BYTES;
    return room > this.#bytesMax ? 0 : room;
  }

  /** Adds an entry for each of these records, which are in memory from an offset on, and in the segment at a place. */
  add(memory: Memory, { from, to, at }: { from: number; to: number; at: number }): void {
    for (let record = from; record < to; record += recordBytesAt(memory, record, to)!) {
      const start = changeIn(record);
      const head = new Text(memory, start, start + headBytesAt(memory, start));
      if (this.roomWith(OFFSET_BYTES + head.length) === 0) return this.#drop();
      const entry = this.#length;
      this.#length += OFFSET_BYTES + head.length;
      if (this.#length > this.#memory.bytes.length) this.#grow();
      this.#memory.view.setUint32(entry, (at + record - from) / UNIT_BYTES, true);
      copyText(head, this.#memory, entry + OFFSET_BYTES);
    }
  }

  /** The bytes of the index, with what the last turn says; undefined if it is not worth it. */
  finish(
    { end, sequence, version }: Omit<SegmentIndex, "entries">,
    seed: number,
  ): Uint8Array | undefined {
    const size = this.roomWith(0);
    if (size === 0) return undefined;
    const length = size - TRAILER_BYTES;
    const index = new Memory(size);
    index.bytes.set(this.#memory.bytes.subarray(0, this.#length));
    const { view } = index;
    view.setUint32(length + MAGIC, MAGIC_NUMBER, true);
    view.setUint32(length + LENGTH, length, true);
    view.setUint32(length + END, end / UNIT_BYTES, true);
    view.setFloat64(length + SEQUENCE, sequence, true);
    view.setFloat64(length + VERSION, version, true);
    view.setUint32(length + CHECKSUM, sumOf(index, length, seed), true);
    this.#drop();
    return index.bytes;
  }

  /** Frees the memory: from now on it is not worth it. */
  #drop(): void {
    this.#memory = new Memory(0);
    this.#length = Infinity;
  }

  #grow(): void {
    const grown = new Memory(2 * this.#length);
    grown.bytes.set(this.#memory.bytes);
    this.#memory = grown;
  }
}

/**
 * Reads the index of a segment whose last turn has this sequence number, or of one whose last turn is not known;
 * undefined if it has no whole one.
 */
export function readIndex(
  file: PositionedFile,
  segment: Segment,
  sequence?: number,
): SegmentIndex | undefined {
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
  const last = view.getFloat64(length + SEQUENCE, true);
  // After a crash, the log may have gone on in this segment behind its index.
  if (sequence !== undefined && last !== sequence) return undefined;
  return {
    end: view.getUint32(length + END, true) * UNIT_BYTES,
    sequence: last,
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

/** The checksum of an index: that of the trailer, seeded by that of the entries. */
function sumOf(memory: Memory, length: number, seed: number): number {
  const entries = checksum(memory, 0, length, seed);
  return checksum(memory, length + LENGTH, length + TRAILER_BYTES, entries);
}
