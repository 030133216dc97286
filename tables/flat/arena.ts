/**
 * The memory of a flat store: records in segments, each of which is filled once, from its start to its end.
 *
 * A reference to a record is one 32-bit integer, made of the segment's number and the place within it, so
 * that an index of a million records is a few megabytes of integers, without an object for each. A freed
 * record leaves a gap; the compactor empties the segments with the largest gaps by moving what is left in
 * them.
 *
 * @module
 */

import { Memory, type Text } from "../text.ts";
import {
  CAPACITY_BYTES_MAX,
  capacityAt,
  expiryAt,
  type Fields,
  fieldsAt,
  FLAG,
  flagsAt,
  hasKeyAt,
  hasNumberAt,
  isVisibleAt,
  keyAt,
  keyLengthAt,
  NO_REF,
  overwriteRecord,
  recordBytes,
  setFlagsAt,
  usedBytesAt,
  valueAt,
  versionAt,
  writeRecord,
} from "./record.ts";
import { Segment } from "./segment.ts";

const UNIT_BITS = 3;
const UNIT_BYTES = 1 << UNIT_BITS;
const PLACE_BITS = 17;
const PLACE_MASK = (1 << PLACE_BITS) - 1;
/** The size of a segment. */
const SEGMENT_BYTES = UNIT_BYTES << PLACE_BITS;
/** The most segments: 32 GiB of small records. */
const SEGMENTS_MAX = 1 << (32 - PLACE_BITS);

/** Takes the number 0, so that no reference is 0. */
const NO_SEGMENT = new Segment(new Memory(0));

/** Records in segments. */
export class Arena {
  readonly #segments: (Segment | undefined)[] = [NO_SEGMENT];
  readonly #freeNumbers: number[] = [];
  /** The number of the segment that takes new records. */
  #head = 0;
  /**
   * The memory of a released segment, for the next one. Where records are evicted as fast as others arrive,
   * leaving it to the garbage collector would take half as much memory again.
   */
  #spare: Memory | undefined;
  #bytes = 0;
  #liveBytes = 0;

  /** The memory that the segments take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The part of it that holds records which are not freed, in bytes. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Writes a record and returns its reference. Throws RangeError if no segment is left. */
  add(key: Text, value: Text, fields: Fields): number {
    const { expiresAt } = fields;
    const size = recordBytes(key.end - key.start, {
      valueLength: value.end - value.start,
      expiresAt,
    });
    const ref = this.#allocate(size);
    writeRecord(this.memory(ref), this.offset(ref), { key, value, fields, size });
    return ref;
  }

  /** Whether a record with such a value and expiry fits into this one's room without wasting half of it. */
  fits(
    ref: number,
    { valueLength, expiresAt }: { valueLength: number; expiresAt: number },
  ): boolean {
    const keyLength = keyLengthAt(this.#view(ref), this.offset(ref));
    const size = recordBytes(keyLength, { valueLength, expiresAt });
    const capacity = this.capacity(ref);
    return size <= capacity && 2 * size >= capacity;
  }

  /** Gives a record another value and other fields, in the room that it has. */
  overwrite(ref: number, value: Text, fields: Fields): void {
    overwriteRecord(this.memory(ref), this.offset(ref), { value, fields });
  }

  /** Frees a record. */
  free(ref: number): void {
    const size = this.capacity(ref);
    this.setFlags(ref, this.flags(ref) | FLAG.FREED);
    const number = ref >>> PLACE_BITS;
    const segment = this.#segments[number]!;
    segment.liveBytes -= size;
    this.#liveBytes -= size;
    if (segment.liveBytes === 0 && number !== this.#head) this.#release(number);
  }

  /** Whether the record of a reference has been freed. Valid only if nothing has been added since. */
  isFreed(ref: number): boolean {
    const segment = this.#segments[ref >>> PLACE_BITS];
    return segment === undefined || (this.flags(ref) & FLAG.FREED) !== 0;
  }

  /** The memory that holds a record. */
  memory(ref: number): Memory {
    return this.#segments[ref >>> PLACE_BITS]!.memory;
  }

  /** All words of the segment that holds a record, of four bytes each. */
  words(ref: number): Int32Array {
    return this.#segments[ref >>> PLACE_BITS]!.words;
  }

  /** The offset of a record in its segment, in bytes. */
  offset(ref: number): number {
    return (ref & PLACE_MASK) << UNIT_BITS;
  }

  /** The key of a record. */
  key(ref: number): Text {
    return keyAt(this.memory(ref), this.offset(ref));
  }

  /** Whether a record has this key. */
  hasKey(ref: number, key: Text): boolean {
    return hasKeyAt(this.memory(ref), this.offset(ref), key);
  }

  /** The value of a record. */
  value(ref: number): Text {
    return valueAt(this.memory(ref), this.offset(ref));
  }

  /** Whether a record is no tombstone and has not expired by this clock, in milliseconds since 1970. */
  isVisible(ref: number, now: () => number): boolean {
    return isVisibleAt(this.#view(ref), this.offset(ref), now);
  }

  /** The version of a record. */
  version(ref: number): number {
    return versionAt(this.#view(ref), this.offset(ref));
  }

  /** When a record expires, in milliseconds since 1970; 0 if it does not. */
  expiresAt(ref: number): number {
    return expiryAt(this.#view(ref), this.offset(ref));
  }

  /** Whether a record is of the log's change with this number, by the low 32 bits. */
  hasNumber(ref: number, number: number): boolean {
    return hasNumberAt(this.#view(ref), this.offset(ref), number);
  }

  /** The fields of a record. */
  fields(ref: number): Fields {
    return fieldsAt(this.#view(ref), this.offset(ref));
  }

  /** The flags of a record. */
  flags(ref: number): number {
    return flagsAt(this.#view(ref), this.offset(ref));
  }

  /** Sets the flags of a record. */
  setFlags(ref: number, flags: number): void {
    setFlagsAt(this.#view(ref), this.offset(ref), flags);
  }

  /** The room of a record, in bytes. */
  capacity(ref: number): number {
    return capacityAt(this.#view(ref), this.offset(ref)) || this.memory(ref).bytes.length;
  }

  /** The bytes of a record that are in use. */
  usedBytes(ref: number): number {
    return usedBytesAt(this.#view(ref), this.offset(ref));
  }

  /** Whether a record has a segment of its own. */
  isAlone(ref: number): boolean {
    return this.memory(ref).bytes.length !== SEGMENT_BYTES;
  }

  /** The number of the emptiest shared segment, not counting the head; undefined if there is none. */
  emptiest(): number | undefined {
    let found: number | undefined;
    let least = SEGMENT_BYTES;
    for (const [number, segment] of this.#segments.entries()) {
      if (segment === undefined || number === this.#head || segment === NO_SEGMENT) continue;
      if (segment.size !== SEGMENT_BYTES || segment.liveBytes >= least) continue;
      least = segment.liveBytes;
      found = number;
    }
    return found;
  }

  /** The number of the segment that follows this one in a circle, leaving out the head. */
  next(number: number): number | undefined {
    const count = this.#segments.length;
    for (let step = 1; step <= count; step++) {
      const candidate = (number + step) % count;
      if (candidate === 0 || candidate === this.#head) continue;
      if (this.#segments[candidate] !== undefined) return candidate;
    }
    return undefined;
  }

  /** The segment with this number; undefined once it is released. */
  segmentAt(number: number): Segment | undefined {
    return this.#segments[number];
  }

  /**
   * A segment's first record, or the one after this one; NO_REF after the last, or if the segment is gone.
   */
  recordAfter({ number, ref }: { number: number; ref: number }): number {
    const segment = this.#segments[number];
    if (segment === undefined) return NO_REF;
    const at = ref === NO_REF ? 0 : this.offset(ref) + this.capacity(ref);
    return at >= segment.used ? NO_REF : (number << PLACE_BITS) | (at >>> UNIT_BITS);
  }

  /** All records that are not freed, segment by segment. */
  *records(): Generator<number> {
    for (let number = 1; number < this.#segments.length; number++) {
      for (let ref = NO_REF; (ref = this.recordAfter({ number, ref })) !== NO_REF;) {
        if ((this.flags(ref) & FLAG.FREED) === 0) yield ref;
      }
    }
  }

  #view(ref: number): DataView {
    return this.#segments[ref >>> PLACE_BITS]!.memory.view;
  }

  #allocate(size: number): number {
    const isShared = size <= CAPACITY_BYTES_MAX;
    let number = this.#head;
    let segment = this.#segments[number]!;
    if (!isShared || segment.size - segment.used < size) {
      number = this.#freeNumbers.pop() ?? this.#segments.length;
      if (number >= SEGMENTS_MAX) {
        throw new RangeError("Cannot store a record: all segments are used");
      }
      segment = new Segment(isShared ? this.#takeMemory() : new Memory(size));
      this.#segments[number] = segment;
      this.#bytes += segment.size;
      if (isShared) this.#moveHead(number);
    }
    const place = segment.used >>> UNIT_BITS;
    segment.used += size;
    segment.liveBytes += size;
    this.#liveBytes += size;
    return (number << PLACE_BITS) | place;
  }

  #moveHead(number: number): void {
    const old = this.#head;
    this.#head = number;
    if (old !== 0 && this.#segments[old]!.liveBytes === 0) this.#release(old);
  }

  #takeMemory(): Memory {
    const memory = this.#spare ?? new Memory(SEGMENT_BYTES);
    this.#spare = undefined;
    return memory;
  }

  #release(number: number): void {
    const { memory, size } = this.#segments[number]!;
    this.#bytes -= size;
    if (size === SEGMENT_BYTES) this.#spare = memory;
    this.#segments[number] = undefined;
    this.#freeNumbers.push(number);
  }
}
