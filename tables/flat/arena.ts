/**
 * The memory of a flat store: records of bytes in segments, each written once from its start to its end.
 *
 * A reference to a record is one 32-bit integer, the segment's number and the place within it, so that an
 * index of a million records is a few megabytes of integers and no object. A record that is freed leaves
 * a gap; `FlatStore` empties the segments with the largest gaps by moving what is left of them.
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

const UNIT_BITS = 3;
const UNIT_BYTES = 1 << UNIT_BITS;
const PLACE_BITS = 17;
const PLACE_MASK = (1 << PLACE_BITS) - 1;
/** How much a segment holds. */
const SEGMENT_BYTES = UNIT_BYTES << PLACE_BITS;
/** How many segments there can be: 32 GiB of small records. */
const SEGMENTS_MAX = 1 << (32 - PLACE_BITS);

/** Memory of one piece. */
export class Segment {
  /** Its bytes. */
  readonly memory: Memory;
  /** Where the next record goes, in bytes. */
  used = 0;
  /** How much of it is records that are not freed, in bytes. */
  liveBytes = 0;

  /** An empty segment in this memory. */
  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** How much room it has, in bytes. */
  get size(): number {
    return this.memory.bytes.length;
  }
}

/** The segment that no reference leads to, so that no reference is 0. */
const NO_SEGMENT = new Segment(new Memory(0));

/** Records in segments. */
export class Arena {
  readonly #segments: (Segment | undefined)[] = [NO_SEGMENT];
  readonly #freeNumbers: number[] = [];
  /** The segment that takes new records. */
  #head = 0;
  /**
   * The memory of a segment that has been released, for the next one: where records are evicted as fast as
   * others come, memory that waits for the garbage collector would be half as much again.
   */
  #spare: Memory | undefined;
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
    const { expiresAt } = fields;
    const size = recordBytes(key.end - key.start, {
      valueLength: value.end - value.start,
      expiresAt,
    });
    const ref = this.#allocate(size);
    writeRecord(this.memory(ref), this.offset(ref), { key, value, fields, size });
    return ref;
  }

  /** Whether a record's room is about what one with such a value and this expiry would take. */
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

  /** When a record expires, in milliseconds since 1970; 0 where it does not. */
  expiresAt(ref: number): number {
    return expiryAt(this.#view(ref), this.offset(ref));
  }

  /** Whether a record keeps the number of this change of a log, the low 32 bits of it. */
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

  /** Gives a record other flags. */
  setFlags(ref: number, flags: number): void {
    setFlagsAt(this.#view(ref), this.offset(ref), flags);
  }

  /** How much room a record has, in bytes. */
  capacity(ref: number): number {
    return capacityAt(this.#view(ref), this.offset(ref)) || this.memory(ref).bytes.length;
  }

  /** How many bytes of a record are in use. */
  usedBytes(ref: number): number {
    return usedBytesAt(this.#view(ref), this.offset(ref));
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
