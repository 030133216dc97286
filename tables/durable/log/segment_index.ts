/**
 * The index of a segment: its records without their values, and their places. A start reads it instead of the
 * whole segment. It is built from what each turn appends, and stored as a record of its own kind in the first
 * turn of the next segment. It is only an optimisation: if it is missing or damaged, the segment itself is
 * read.
 *
 * A segment of small records has no index, which would not be much smaller than they are.
 *
 * @module
 */

import {
  type Change,
  changeBytes,
  headBytesAt,
  readChange,
  readHeadOfChange,
} from "../../change.ts";
import { copyText, Memory, Text } from "../../text.ts";
import type { PositionedFile } from "./file.ts";
import {
  changeIn,
  isWholeRecord,
  recordBytes,
  recordBytesAt,
  type SegmentHeader,
} from "./format.ts";
import { Window } from "./window.ts";

/** The kind of the record that has an index. */
export const INDEX_KIND = 4;
/** The most that an index takes of a slot. */
const SHARE_MAX = 1 / 8;

// An entry: the record's offset in the segment in units of eight bytes, then the head of its change, with the
// key and without the value.
const OFFSET_BYTES = 4;
const UNIT_BYTES = 8;

/** A record by its index: its change without the value. */
export interface IndexEntry extends Omit<Change, "value"> {
  /** The length of the value, in bytes. */
  readonly valueLength: number;
  /** Where the record starts, in bytes from the segment's start. */
  readonly offset: number;
}

/** A segment, and where it is. */
export interface LocatedSegment {
  /** Its header. */
  readonly header: SegmentHeader;
  /** Where it starts in the file, in bytes. */
  readonly start: number;
  /** Its size in the file, in bytes. */
  readonly size: number;
  /** The seed of its checksums. */
  readonly seed: number;
}

/** The index of a segment that is being filled. */
export class IndexBuilder {
  readonly #bytesMax: number;
  #memory = new Memory(0);
  /** The bytes of the entries; infinite once there are too many to be worth it. */
  #length = 0;

  /** An index without entries, of a segment in slots of this size. */
  constructor(slotBytes: number) {
    this.#bytesMax = slotBytes * SHARE_MAX;
  }

  /** The size of its record, in bytes; 0 if there is none. */
  get recordBytes(): number {
    return this.#length === 0 || this.#length === Infinity ? 0 : recordBytes(0, this.#length, 0);
  }

  /** Its record; undefined if there is none. */
  get record(): Change | undefined {
    if (this.recordBytes === 0) return undefined;
    const value = new Text(this.#memory, 0, this.#length);
    return { kind: INDEX_KIND, key: new Text(this.#memory, 0, 0), value, version: 0, expiresAt: 0 };
  }

  /** Adds an entry for each of these records, which are in memory from an offset on, and in the segment at a place. */
  add(memory: Memory, { from, to, at }: { from: number; to: number; at: number }): void {
    for (let record = from; record < to; record += recordBytesAt(memory, record, to)!) {
      const start = changeIn(record);
      const head = new Text(memory, start, start + headBytesAt(memory, start));
      const entry = this.#length;
      if (entry + OFFSET_BYTES + head.length > this.#bytesMax) return this.drop();
      this.#length += OFFSET_BYTES + head.length;
      if (this.#length > this.#memory.bytes.length) this.#grow();
      this.#memory.view.setUint32(entry, (at + record - from) / UNIT_BYTES, true);
      copyText(head, this.#memory, entry + OFFSET_BYTES);
    }
  }

  /** Frees the memory: from then on there is no index. */
  drop(): void {
    this.#memory = new Memory(0);
    this.#length = Infinity;
  }

  #grow(): void {
    const grown = new Memory(2 * this.#length);
    grown.bytes.set(this.#memory.bytes);
    this.#memory = grown;
  }
}

/** Reads the entries of a segment's index from the segment that follows; undefined if it has no whole one. */
export function readIndex(file: PositionedFile, next: LocatedSegment): IndexEntry[] | undefined {
  const { header: { index }, start, size, seed } = next;
  if (index === 0) return undefined;
  const window = new Window(file);
  let at = window.show(start + index, recordBytes(0, 0, 0));
  const length = at === undefined ? undefined : recordBytesAt(window.memory, at, at + size - index);
  if (length === undefined) return undefined;
  at = window.show(start + index, length);
  if (at === undefined || !isWholeRecord(window.memory, at, seed)) return undefined;
  const { kind, value } = readChange(window.memory, changeIn(at));
  return kind === INDEX_KIND ? [...entriesIn(value)] : undefined;
}

/** The entries of an index, in the order of their records. */
function* entriesIn({ memory, start, end }: Text): Generator<IndexEntry> {
  for (let at = start; at + OFFSET_BYTES < end;) {
    const offset = memory.view.getUint32(at, true) * UNIT_BYTES;
    const change = readHeadOfChange(memory, at + OFFSET_BYTES);
    yield { ...change, offset };
    at += OFFSET_BYTES + changeBytes(change.key.length, 0, change.expiresAt);
  }
}
