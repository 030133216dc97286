/**
 * The memory of a flat store: records of bytes in segments, each written once from its start to its end.
 *
 * A reference to a record is one 32-bit integer, the segment's number and the place within it, so that an
 * index of a million records is a few megabytes of integers and no object. A record that is freed leaves
 * a gap; `FlatStore` empties the segments with the largest gaps by moving what is left of them.
 *
 * @module
 */

import { copyText, Memory, Text } from "../text.ts";
import { type Fields, FLAG, HEADER_BYTES, NO_REF, OFFSET, recordBytes } from "./record.ts";

const UNIT_BITS = 3;
const UNIT_BYTES = 1 << UNIT_BITS;
const PLACE_BITS = 17;
const PLACE_MASK = (1 << PLACE_BITS) - 1;
/** How much a segment holds. */
const SEGMENT_BYTES = UNIT_BYTES << PLACE_BITS;
/** How many segments there can be: 32 GiB of small records. */
const SEGMENTS_MAX = 1 << (32 - PLACE_BITS);
/** A larger record has a segment of its own, which is freed with it. */
const SHARED_RECORD_BYTES_MAX = 65_536;
const TWO_TO_32 = 2 ** 32;

/** Memory of one piece. */
export class Segment {
  /** Its bytes. */
  readonly memory: Memory;
  /** Where the next record goes, in bytes. */
  used = 0;
  /** How much of it is records that are not freed, in bytes. */
  liveBytes = 0;

  /** A segment with this much room, in bytes. */
  constructor(bytes: number) {
    this.memory = new Memory(bytes);
  }

  /** How much room it has, in bytes. */
  get size(): number {
    return this.memory.bytes.length;
  }
}

/** The segment that no reference leads to, so that no reference is 0. */
const NO_SEGMENT = new Segment(0);

/** Records in segments. */
export class Arena {
  readonly #segments: (Segment | undefined)[] = [NO_SEGMENT];
  readonly #freeNumbers: number[] = [];
  /** The segment that takes new records. */
  #head = 0;
  #bytes = 0;
  #liveBytes = 0;

  /** How much memory the segments take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How much of that is records that are not freed, in bytes. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Writes a record and returns its reference. Throws RangeError where no segment is left. */
  add(key: Text, value: Text, fields: Fields): number {
    const size = recordBytes(key.length, value.length);
    const ref = this.#allocate(size);
    const memory = this.memory(ref);
    const { view } = memory;
    const at = (ref & PLACE_MASK) << UNIT_BITS;
    view.setUint16(at + OFFSET.KEY_LENGTH, key.length, true);
    view.setUint16(
      at + OFFSET.CAPACITY,
      size <= SHARED_RECORD_BYTES_MAX ? size >>> UNIT_BITS : 0,
      true,
    );
    copyText(key, memory, at + HEADER_BYTES);
    this.overwrite(ref, value, fields);
    return ref;
  }

  /** Whether the room of a record is what one with a value of this many bytes would take. */
  fits(ref: number, valueLength: number): boolean {
    const size = recordBytes(this.keyLength(ref), valueLength);
    const capacity = this.capacity(ref);
    return size <= capacity && 2 * size >= capacity;
  }

  /** Gives a record another value and other fields, in the room that it has. */
  overwrite(ref: number, value: Text, fields: Fields): void {
    const memory = this.memory(ref);
    const at = (ref & PLACE_MASK) << UNIT_BITS;
    const { view } = memory;
    view.setUint32(at + OFFSET.VALUE_LENGTH, value.length, true);
    view.setUint32(at + OFFSET.VERSION_LOW, fields.version % TWO_TO_32, true);
    view.setUint16(at + OFFSET.VERSION_HIGH, fields.version / TWO_TO_32, true);
    view.setUint16(at + OFFSET.FLAGS, fields.flags, true);
    view.setFloat64(at + OFFSET.EXPIRES_AT, fields.expiresAt, true);
    view.setFloat64(at + OFFSET.NUMBER, fields.number, true);
    copyText(value, memory, at + HEADER_BYTES + view.getUint16(at + OFFSET.KEY_LENGTH, true));
  }

  /** Lets the room of a record go. */
  free(ref: number): void {
    const size = this.capacity(ref);
    this.setFlags(ref, this.flags(ref) | FLAG.FREED);
    const number = ref >>> PLACE_BITS;
    const segment = this.#segments[number]!;
    segment.liveBytes -= size;
    this.#liveBytes -= size;
    if (segment.liveBytes === 0 && number !== this.#head) this.#release(number);
  }

  /** Whether a reference leads to no record any more, as long as nothing has been added since. */
  isFreed(ref: number): boolean {
    const segment = this.#segments[ref >>> PLACE_BITS];
    return segment === undefined || (this.flags(ref) & FLAG.FREED) !== 0;
  }

  /** The memory that a record lies in. */
  memory(ref: number): Memory {
    return this.#segments[ref >>> PLACE_BITS]!.memory;
  }

  /** Where in its segment a record begins, in bytes. */
  offset(ref: number): number {
    return (ref & PLACE_MASK) << UNIT_BITS;
  }

  /** The length of a record's key, in bytes. */
  keyLength(ref: number): number {
    return this.memory(ref).view.getUint16(this.offset(ref) + OFFSET.KEY_LENGTH, true);
  }

  /** The key of a record. */
  key(ref: number): Text {
    const start = this.offset(ref) + HEADER_BYTES;
    return new Text(this.memory(ref), start, start + this.keyLength(ref));
  }

  /** Whether a record has this key. */
  hasKey(ref: number, key: Text): boolean {
    const { bytes, view } = this.memory(ref);
    const at = this.offset(ref);
    const length = key.end - key.start;
    if (view.getUint16(at + OFFSET.KEY_LENGTH, true) !== length) return false;
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
  value(ref: number): Text {
    const memory = this.memory(ref);
    const { view } = memory;
    const at = this.offset(ref);
    const start = at + HEADER_BYTES + view.getUint16(at + OFFSET.KEY_LENGTH, true);
    return new Text(memory, start, start + view.getUint32(at + OFFSET.VALUE_LENGTH, true));
  }

  /** Whether a record is no tombstone and has not expired by this clock, in milliseconds since 1970. */
  isVisible(ref: number, now: () => number): boolean {
    const { view } = this.memory(ref);
    const at = (ref & PLACE_MASK) << UNIT_BITS;
    if ((view.getUint16(at + OFFSET.FLAGS, true) & FLAG.TOMBSTONE) !== 0) return false;
    const expiresAt = view.getFloat64(at + OFFSET.EXPIRES_AT, true);
    return expiresAt === 0 || expiresAt > now();
  }

  /** The version of a record. */
  version(ref: number): number {
    const { view } = this.memory(ref);
    const at = this.offset(ref);
    return view.getUint16(at + OFFSET.VERSION_HIGH, true) * TWO_TO_32 +
      view.getUint32(at + OFFSET.VERSION_LOW, true);
  }

  /** When a record expires, in milliseconds since 1970; 0 where it does not. */
  expiresAt(ref: number): number {
    return this.memory(ref).view.getFloat64(this.offset(ref) + OFFSET.EXPIRES_AT, true);
  }

  /** Which change of a log a record is; 0 in memory. */
  number(ref: number): number {
    return this.memory(ref).view.getFloat64(this.offset(ref) + OFFSET.NUMBER, true);
  }

  /** The flags of a record. */
  flags(ref: number): number {
    return this.memory(ref).view.getUint16(this.offset(ref) + OFFSET.FLAGS, true);
  }

  /** Gives a record other flags. */
  setFlags(ref: number, flags: number): void {
    this.memory(ref).view.setUint16(this.offset(ref) + OFFSET.FLAGS, flags, true);
  }

  /** How much room a record has, in bytes. */
  capacity(ref: number): number {
    const { view, bytes } = this.memory(ref);
    const units = view.getUint16(this.offset(ref) + OFFSET.CAPACITY, true);
    return units === 0 ? bytes.length : units << UNIT_BITS;
  }

  /** How many bytes of a record are in use: its header, its key and its value. */
  usedBytes(ref: number): number {
    const valueLength = this.memory(ref).view.getUint32(
      this.offset(ref) + OFFSET.VALUE_LENGTH,
      true,
    );
    return HEADER_BYTES + this.keyLength(ref) + valueLength;
  }

  /** Whether a record has a segment of its own. */
  isAlone(ref: number): boolean {
    return this.memory(ref).bytes.length !== SEGMENT_BYTES;
  }

  /** The number of the shared segment with the least in it, the head aside; undefined without one. */
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

  /** The number of the next segment after this one, in a circle; the head is left out. */
  next(number: number): number | undefined {
    const count = this.#segments.length;
    for (let step = 1; step <= count; step++) {
      const candidate = (number + step) % count;
      if (candidate === 0 || candidate === this.#head) continue;
      if (this.#segments[candidate] !== undefined) return candidate;
    }
    return undefined;
  }

  /** The segment with this number; undefined where it has been let go. */
  segmentAt(number: number): Segment | undefined {
    return this.#segments[number];
  }

  /** The first record of a segment, or the record after this one; NO_REF after the last, or if it is gone. */
  recordAfter({ number, ref }: { number: number; ref: number }): number {
    const segment = this.#segments[number];
    if (segment === undefined) return NO_REF;
    const at = ref === NO_REF ? 0 : this.offset(ref) + this.capacity(ref);
    return at >= segment.used ? NO_REF : (number << PLACE_BITS) | (at >>> UNIT_BITS);
  }

  #allocate(size: number): number {
    const isShared = size <= SHARED_RECORD_BYTES_MAX;
    let number = this.#head;
    let segment = this.#segments[number]!;
    if (!isShared || segment.size - segment.used < size) {
      number = this.#freeNumbers.pop() ?? this.#segments.length;
      if (number >= SEGMENTS_MAX) {
        throw new RangeError("Cannot store a record: all segments are used");
      }
      segment = new Segment(isShared ? SEGMENT_BYTES : size);
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

  #release(number: number): void {
    this.#bytes -= this.#segments[number]!.size;
    this.#segments[number] = undefined;
    this.#freeNumbers.push(number);
  }
}
