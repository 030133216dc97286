/**
 * The records of a memtable, as bytes in slabs. This file alone knows the layout of a record.
 *
 * A reference to a record is one 32-bit integer, made of the slab's number and the place within it, so that
 * an index of a million records is a few megabytes of integers, without an object for each. A freed record
 * leaves a gap, until the cleaner moves what is left in its slab.
 *
 * A record is a header, the key, the value, and in a record that expires an f64 that says when, padded to a
 * multiple of eight bytes. A large value stands elsewhere, and its record has its number. A cold record has
 * no value in memory: the log has it.
 *
 * @module
 */

import { copyText, Memory, Text } from "../text.ts";
import { Blobs } from "./blobs.ts";
import { allocate, MemoryFullError } from "./memory_full.ts";
import { Slab } from "./slab.ts";

/** What a record holds besides its key and its value. */
export interface Fields {
  /** Grows with every change of a table; below 2 to the power of 48. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; 0 if it does not. */
  readonly expiresAt: number;
  /** Where the newest record of the key starts in a durable table's log, in bytes; 0 in memory. */
  readonly place: number;
}

/** The state of a record, as bits. */
export const FLAG = {
  /** The value is not in memory. */
  COLD: 1,
  /** The value is large, and stands among the blobs. */
  BLOB: 2,
  /** The record has been read since eviction last passed it. */
  RECENT: 4,
  /** Nothing refers to the record any longer. */
  FREED: 8,
} as const;

/** No record. */
export const NO_REF = 0;

// The header, little-endian. Its first word packs what a search needs before it reads the key: the flags,
// whether it is listed, whether it expires, the key's length in 11 bits, and its room in units, in 13 bits.
const HEAD = 0; // u32
const VALUE_LENGTH = 4; // u32, in bytes
const VERSION_LOW = 8; // u32
const VERSION_HIGH = 12; // u16
const PLACE_HIGH = 14; // u8
const PLACE_LOW = 15; // u32, in units of eight bytes
const HEADER_BYTES = 19;
const FLAGS_MASK = 0xf;
const LISTED = 0x40;
const EXPIRES = 0x80;
const KEY_LENGTH_SHIFT = 8;
const KEY_LENGTH_MASK = 0x7ff;
const CAPACITY_SHIFT = 19;
const EXPIRY_BYTES = 8;
const BLOB_BYTES = 4;
const TWO_TO_32 = 2 ** 32;
/** A larger value is a blob, in bytes. */
const INLINE_BYTES_MAX = 4_096;

const UNIT_BITS = 3;
const UNIT_BYTES = 1 << UNIT_BITS;
const PLACE_BITS = 17;
const PLACE_MASK = (1 << PLACE_BITS) - 1;
/** The size of a slab. */
export const SLAB_BYTES: number = UNIT_BYTES << PLACE_BITS;
/** The most slabs: 32 GiB of records, not counting large values. The number 0 is taken. */
const SLABS_MAX = (1 << (32 - PLACE_BITS)) - 1;
/** How many of them only records that move may take: in a full table too, gaps are closed and values go. */
const SLABS_RESERVED = 2;
/** From this share of them on, few are left. */
const TIGHT_SHARE = 7 / 8;

/** Takes the number 0, so that no reference is 0. */
const NO_SLAB = new Slab(new Memory(0), { isCold: false });

/** Records in slabs. */
export class Arena {
  readonly #slabs: (Slab | undefined)[] = [NO_SLAB];
  readonly #freeNumbers: number[] = [];
  readonly #slabsMax: number;
  readonly #blobs = new Blobs();
  /** The numbers of the slabs that take new records: those with values, and the cold ones. */
  readonly #heads: [hot: number, cold: number] = [0, 0];
  /**
   * The memory of a released slab, for the next one. Where records are evicted as fast as others arrive,
   * leaving it to the garbage collector would take half as much memory again.
   */
  #spare: Memory | undefined;
  /** The bytes of records and values that were added and not only moved, since someone set it to 0. */
  addedBytes = 0;
  #slabBytes = 0;
  /** The bytes of records that are not freed: those with values, and the cold ones. */
  #hotBytes = 0;
  #coldBytes = 0;

  /** An empty arena; tests set a low number of slabs. */
  constructor({ slabsMax = SLABS_MAX } = {}) {
    this.#slabsMax = slabsMax;
  }

  /** The memory that the records take, in bytes. */
  get bytes(): number {
    return this.#slabBytes + this.#blobs.bytes;
  }

  /** The part of it that eviction can reclaim: records with values, and the values. */
  get hotBytes(): number {
    return this.#hotBytes + this.#blobs.bytes;
  }

  /** Whether a value is not in memory. */
  get hasCold(): boolean {
    return this.#coldBytes > 0;
  }

  /** The part of the slabs that no record uses. */
  get gapBytes(): number {
    return this.#slabBytes - this.#hotBytes - this.#coldBytes;
  }

  /** The memory of all slabs, in bytes. */
  get slabBytes(): number {
    return this.#slabBytes;
  }

  /** Whether few slabs are left for new records. */
  get isTight(): boolean {
    return this.#slabBytes >= TIGHT_SHARE * this.#slabsMax * SLAB_BYTES;
  }

  /** Writes a record, cold if the value is a length alone, and returns it. Throws MemoryFullError. */
  add(key: Text, value: Text | number, fields: Fields): number {
    return this.#write(key, value, { fields, isMoved: false });
  }

  /** Whether a record's room fits such a value and expiry, without wasting half of it. */
  fits(ref: number, value: Text, { expiresAt }: Fields): boolean {
    const head = this.#view(ref).getInt32(this.offset(ref) + HEAD, true);
    const valueLength = value.end - value.start;
    if ((head & (FLAG.BLOB | FLAG.COLD)) !== 0 || valueLength > INLINE_BYTES_MAX) return false;
    const size = roomFor(keyLengthIn(head), valueLength, expiresAt);
    const capacity = capacityIn(head);
    return size <= capacity && 2 * size >= capacity;
  }

  /** Gives a record another value and other fields, in the room that it has, which `fits`. */
  overwrite(ref: number, value: Text, fields: Fields): void {
    const memory = this.memory(ref);
    const at = this.offset(ref);
    copyText(value, memory, at + HEADER_BYTES + this.keyLength(ref));
    this.#writeFields(memory.view, at, { flags: 0, valueLength: value.end - value.start, fields });
  }

  /** Copies a record to where there is room, cold if that is wanted. A blob belongs to both then. Throws MemoryFullError. */
  copy(ref: number, { isCold = this.isCold(ref) } = {}): number {
    if (isCold) {
      const fields = this.fields(ref);
      return this.#write(this.key(ref), this.valueLength(ref), { fields, isMoved: true });
    }
    const size = this.capacity(ref);
    this.#makeRoom(size, { isCold, isMoved: true });
    const copied = this.#take(size, isCold);
    const at = this.offset(ref);
    const bytes = new Text(this.memory(ref), at, at + this.usedBytes(ref));
    copyText(bytes, this.memory(copied), this.offset(copied));
    return copied;
  }

  /** Frees a record of which there is a copy, which keeps the blob if it has one. */
  freeCopied(ref: number, copied: number): void {
    if (this.isBlob(copied)) this.#freeRoom(ref);
    else this.free(ref);
  }

  /** Frees a record, and its value. */
  free(ref: number): void {
    if (this.isBlob(ref)) this.#blobs.free(this.#blobOf(ref));
    this.#freeRoom(ref);
  }

  /** The memory that holds a record. */
  memory(ref: number): Memory {
    return this.#slabs[ref >>> PLACE_BITS]!.memory;
  }

  /** All words of the slab that holds a record, of four bytes each. */
  words(ref: number): Int32Array {
    return this.#slabs[ref >>> PLACE_BITS]!.words;
  }

  /** The offset of a record in its slab, in bytes. */
  offset(ref: number): number {
    return (ref & PLACE_MASK) << UNIT_BITS;
  }

  /** The key of a record. */
  key(ref: number): Text {
    const memory = this.memory(ref);
    const start = this.offset(ref) + HEADER_BYTES;
    return new Text(memory, start, start + this.keyLength(ref));
  }

  /** The length of a record's key, in bytes. */
  keyLength(ref: number): number {
    return keyLengthIn(this.#view(ref).getInt32(this.offset(ref) + HEAD, true));
  }

  /** Whether a record has this key. */
  hasKey(ref: number, key: Text): boolean {
    const { bytes, view } = this.memory(ref);
    const at = this.offset(ref);
    if (keyLengthIn(view.getInt32(at + HEAD, true)) !== key.end - key.start) return false;
    const shift = at + HEADER_BYTES - key.start;
    const other = key.memory;
    let i = key.start;
    for (; i + 4 <= key.end; i += 4) {
      if (other.view.getInt32(i, true) !== view.getInt32(i + shift, true)) return false;
    }
    for (; i < key.end; i++) if (other.bytes[i] !== bytes[i + shift]) return false;
    return true;
  }

  /** The value of a record. Throws an error if it is cold: what stands in its place is not its own. */
  value(ref: number): Text {
    const { memory } = this.#slabs[ref >>> PLACE_BITS]!;
    const at = this.offset(ref);
    const head = memory.view.getInt32(at + HEAD, true);
    const start = at + HEADER_BYTES + keyLengthIn(head);
    const length = memory.view.getUint32(at + VALUE_LENGTH, true);
    if ((head & (FLAG.BLOB | FLAG.COLD)) === 0) return new Text(memory, start, start + length);
    if ((head & FLAG.COLD) !== 0) throw new Error("Cannot read a value: it is not in memory");
    return this.#blobs.get(memory.view.getUint32(start, true), length);
  }

  /** The length of a record's value, wherever it is, in bytes. */
  valueLength(ref: number): number {
    return this.#view(ref).getUint32(this.offset(ref) + VALUE_LENGTH, true);
  }

  /** The version of a record. */
  version(ref: number): number {
    const view = this.#view(ref);
    const at = this.offset(ref);
    return view.getUint16(at + VERSION_HIGH, true) * TWO_TO_32 +
      view.getUint32(at + VERSION_LOW, true);
  }

  /** When a record expires, in milliseconds since 1970; 0 if it does not. */
  expiresAt(ref: number): number {
    const view = this.#view(ref);
    const at = this.offset(ref);
    const head = view.getInt32(at + HEAD, true);
    if ((head & EXPIRES) === 0) return 0;
    const room = roomOfValue(head, view.getUint32(at + VALUE_LENGTH, true));
    return view.getFloat64(at + HEADER_BYTES + keyLengthIn(head) + room, true);
  }

  /** Where the newest record of the key starts in the log, in bytes. */
  place(ref: number): number {
    const view = this.#view(ref);
    const at = this.offset(ref);
    return (view.getUint8(at + PLACE_HIGH) * TWO_TO_32 + view.getUint32(at + PLACE_LOW, true)) *
      UNIT_BYTES;
  }

  /** Sets the place of a record. */
  setPlace(ref: number, place: number): void {
    this.#writePlace(this.#view(ref), this.offset(ref), place);
  }

  /** The fields of a record. */
  fields(ref: number): Fields {
    return {
      version: this.version(ref),
      expiresAt: this.expiresAt(ref),
      place: this.place(ref),
    };
  }

  /** Whether the value of a record is not in memory. */
  isCold(ref: number): boolean {
    return (this.#flags(ref) & FLAG.COLD) !== 0;
  }

  /** Whether a record has been freed. Valid only if nothing has been added since. */
  isFreed(ref: number): boolean {
    const slab = this.#slabs[ref >>> PLACE_BITS];
    return slab === undefined || (this.#flags(ref) & FLAG.FREED) !== 0;
  }

  /** Whether a record has been read since eviction last passed it. */
  isRecent(ref: number): boolean {
    return (this.#flags(ref) & FLAG.RECENT) !== 0;
  }

  /** Notes that a record has been read, or forgets it. */
  setRecent(ref: number, isRecent: boolean): void {
    const flags = this.#flags(ref);
    if (((flags & FLAG.RECENT) !== 0) === isRecent) return;
    this.#setFlags(ref, flags ^ FLAG.RECENT);
  }

  /** Whether a record is in the order by key. */
  isListed(ref: number): boolean {
    return (this.#view(ref).getInt32(this.offset(ref) + HEAD, true) & LISTED) !== 0;
  }

  /** Notes whether a record is in the order by key. */
  setListed(ref: number, isListed: boolean): void {
    const view = this.#view(ref);
    const at = this.offset(ref) + HEAD;
    const head = view.getInt32(at, true);
    view.setInt32(at, isListed ? head | LISTED : head & ~LISTED, true);
  }

  /** The room of a record, in bytes. */
  capacity(ref: number): number {
    return capacityIn(this.#view(ref).getInt32(this.offset(ref) + HEAD, true));
  }

  /** The number of the emptiest slab, not counting the heads; undefined if there is none. */
  emptiest(): number | undefined {
    let found: number | undefined;
    let least = SLAB_BYTES;
    for (const [number, slab] of this.#slabs.entries()) {
      if (slab === undefined || slab === NO_SLAB || this.#heads.includes(number)) continue;
      if (slab.liveBytes >= least) continue;
      least = slab.liveBytes;
      found = number;
    }
    return found;
  }

  /** The number of the next slab in a circle that holds values, which may be the head; undefined if none does. */
  nextHot(number: number): number | undefined {
    const count = this.#slabs.length;
    for (let step = 1; step <= count; step++) {
      const candidate = (number + step) % count;
      const slab = this.#slabs[candidate];
      if (candidate !== 0 && slab !== undefined && !slab.isCold) return candidate;
    }
    return undefined;
  }

  /** The highest number that a slab has had, plus one. */
  get slabNumbersEnd(): number {
    return this.#slabs.length;
  }

  /** The slab with this number; undefined once it is released. */
  slabAt(number: number): Slab | undefined {
    return this.#slabs[number];
  }

  /** A slab's first record, or the one after this one; NO_REF after the last, or if the slab is gone. */
  recordAfter({ number, ref }: { number: number; ref: number }): number {
    const slab = this.#slabs[number];
    if (slab === undefined) return NO_REF;
    const at = ref === NO_REF ? 0 : this.offset(ref) + this.capacity(ref);
    return at >= slab.used ? NO_REF : (number << PLACE_BITS) | (at >>> UNIT_BITS);
  }

  /** All records that are not freed, slab by slab. */
  *records(): Generator<number> {
    for (let number = 1; number < this.#slabs.length; number++) {
      for (let ref = NO_REF; (ref = this.recordAfter({ number, ref })) !== NO_REF;) {
        if (!this.isFreed(ref)) yield ref;
      }
    }
  }

  /** Throws an error where the counts differ from what the slabs hold. */
  check(): void {
    let [hot, cold, bytes] = [0, 0, 0];
    for (let number = 1; number < this.#slabs.length; number++) {
      const slab = this.#slabs[number];
      if (slab === undefined) continue;
      let live = 0;
      for (let ref = NO_REF; (ref = this.recordAfter({ number, ref })) !== NO_REF;) {
        if (this.isFreed(ref)) continue;
        if (this.isCold(ref) !== slab.isCold) throw new Error(`A record is in the wrong slab`);
        live += this.capacity(ref);
      }
      if (live !== slab.liveBytes) throw new Error(`Slab ${number} has a wrong count`);
      if (slab.isCold) cold += live;
      else hot += live;
      bytes += SLAB_BYTES;
    }
    if (hot !== this.#hotBytes || cold !== this.#coldBytes || bytes !== this.#slabBytes) {
      throw new Error("The arena's counts differ from its slabs");
    }
  }

  /** The bytes of a record that are in use, from its start on. */
  usedBytes(ref: number): number {
    const head = this.#view(ref).getInt32(this.offset(ref) + HEAD, true);
    const expiryBytes = (head & EXPIRES) === 0 ? 0 : EXPIRY_BYTES;
    return HEADER_BYTES + keyLengthIn(head) + roomOfValue(head, this.valueLength(ref)) +
      expiryBytes;
  }

  /** Whether the value of a record is a blob. */
  isBlob(ref: number): boolean {
    return (this.#flags(ref) & FLAG.BLOB) !== 0;
  }

  #write(
    key: Text,
    value: Text | number,
    { fields, isMoved }: { fields: Fields; isMoved: boolean },
  ): number {
    const isCold = typeof value === "number";
    const valueLength = isCold ? value : value.end - value.start;
    const isBlob = !isCold && valueLength > INLINE_BYTES_MAX;
    const flags = isCold ? FLAG.COLD : isBlob ? FLAG.BLOB : 0;
    const keyLength = key.end - key.start;
    const size = roomFor(keyLength, roomOfValue(flags, valueLength), fields.expiresAt);
    this.#makeRoom(size, { isCold, isMoved });
    const blob = isBlob ? this.#blobs.add(value) : 0;
    const ref = this.#take(size, isCold);
    if (!isMoved) this.addedBytes += isBlob ? size + valueLength : size;
    const memory = this.memory(ref);
    const at = this.offset(ref);
    const { view } = memory;
    view.setInt32(
      at + HEAD,
      (size >>> UNIT_BITS << CAPACITY_SHIFT) | (keyLength << KEY_LENGTH_SHIFT),
      true,
    );
    copyText(key, memory, at + HEADER_BYTES);
    const valueAt = at + HEADER_BYTES + keyLength;
    if (isBlob) view.setUint32(valueAt, blob, true);
    else if (!isCold) copyText(value, memory, valueAt);
    this.#writeFields(view, at, { flags, valueLength, fields });
    return ref;
  }

  #freeRoom(ref: number): void {
    const size = this.capacity(ref);
    this.#setFlags(ref, this.#flags(ref) | FLAG.FREED);
    const number = ref >>> PLACE_BITS;
    const slab = this.#slabs[number]!;
    this.#countLive(slab, -size);
    if (slab.liveBytes === 0 && !this.#heads.includes(number)) this.#release(number);
  }

  #blobOf(ref: number): number {
    return this.#view(ref).getUint32(
      this.offset(ref) + HEADER_BYTES + this.keyLength(ref),
      true,
    );
  }

  #writeFields(
    view: DataView,
    at: number,
    { flags, valueLength, fields }: { flags: number; valueLength: number; fields: Fields },
  ): void {
    const { version, expiresAt, place } = fields;
    const head = view.getInt32(at + HEAD, true) & ~(FLAGS_MASK | EXPIRES);
    view.setInt32(at + HEAD, head | flags | (expiresAt === 0 ? 0 : EXPIRES), true);
    view.setUint32(at + VALUE_LENGTH, valueLength, true);
    // What has no room in 32 bits is dropped here, as by `>>> 0`.
    view.setUint32(at + VERSION_LOW, version, true);
    view.setUint16(at + VERSION_HIGH, version / TWO_TO_32, true);
    this.#writePlace(view, at, place);
    if (expiresAt === 0) return;
    const end = at + HEADER_BYTES + keyLengthIn(head) + roomOfValue(flags, valueLength);
    view.setFloat64(end, expiresAt, true);
  }

  #writePlace(view: DataView, at: number, place: number): void {
    const units = place / UNIT_BYTES;
    view.setUint8(at + PLACE_HIGH, units / TWO_TO_32);
    view.setUint32(at + PLACE_LOW, units, true);
  }

  #flags(ref: number): number {
    return this.#view(ref).getInt32(this.offset(ref) + HEAD, true) & FLAGS_MASK;
  }

  #setFlags(ref: number, flags: number): void {
    const view = this.#view(ref);
    const at = this.offset(ref);
    view.setInt32(at + HEAD, (view.getInt32(at + HEAD, true) & ~FLAGS_MASK) | flags, true);
  }

  #view(ref: number): DataView {
    return this.#slabs[ref >>> PLACE_BITS]!.memory.view;
  }

  /** Lets the head have room for a record. Throws MemoryFullError, with nothing changed. */
  #makeRoom(size: number, { isCold, isMoved }: { isCold: boolean; isMoved: boolean }): void {
    const kind = isCold ? 1 : 0;
    const head = this.#heads[kind];
    if (head !== 0 && SLAB_BYTES - this.#slabs[head]!.used >= size) return;
    const slabsMax = isMoved ? this.#slabsMax : this.#slabsMax - SLABS_RESERVED;
    if (this.#slabBytes >= slabsMax * SLAB_BYTES) throw new MemoryFullError();
    const slab = new Slab(this.#takeMemory(), { isCold });
    const number = this.#freeNumbers.pop() ?? this.#slabs.length;
    this.#slabs[number] = slab;
    this.#slabBytes += SLAB_BYTES;
    this.#moveHead(kind, number);
  }

  /** Takes the room for a record from the head, which has it. */
  #take(size: number, isCold: boolean): number {
    const number = this.#heads[isCold ? 1 : 0];
    const slab = this.#slabs[number]!;
    const place = slab.used >>> UNIT_BITS;
    slab.used += size;
    this.#countLive(slab, size);
    return (number << PLACE_BITS) | place;
  }

  #countLive(slab: Slab, bytes: number): void {
    slab.liveBytes += bytes;
    if (slab.isCold) this.#coldBytes += bytes;
    else this.#hotBytes += bytes;
  }

  #moveHead(kind: 0 | 1, number: number): void {
    const old = this.#heads[kind];
    this.#heads[kind] = number;
    if (old !== 0 && this.#slabs[old]!.liveBytes === 0) this.#release(old);
  }

  #takeMemory(): Memory {
    const memory = this.#spare ?? allocate(SLAB_BYTES);
    this.#spare = undefined;
    return memory;
  }

  #release(number: number): void {
    const { memory } = this.#slabs[number]!;
    this.#slabBytes -= SLAB_BYTES;
    this.#spare = memory;
    this.#slabs[number] = undefined;
    this.#freeNumbers.push(number);
  }
}

/** The room for a key, so many bytes for its value, and an expiry, in bytes. */
function roomFor(keyLength: number, valueRoom: number, expiresAt: number): number {
  const length = HEADER_BYTES + keyLength + valueRoom + (expiresAt === 0 ? 0 : EXPIRY_BYTES);
  return (length + UNIT_BYTES - 1) & -UNIT_BYTES;
}

/** The bytes that a value of this length takes in a record with these flags. */
function roomOfValue(flags: number, valueLength: number): number {
  if ((flags & (FLAG.COLD | FLAG.BLOB)) === 0) return valueLength;
  return (flags & FLAG.BLOB) === 0 ? 0 : BLOB_BYTES;
}

function keyLengthIn(head: number): number {
  return (head >>> KEY_LENGTH_SHIFT) & KEY_LENGTH_MASK;
}

function capacityIn(head: number): number {
  return (head >>> CAPACITY_SHIFT) << UNIT_BITS;
}
