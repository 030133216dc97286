/**
 * The records of a memtable, as bytes in slabs. A reference to one is a 32-bit integer. A freed record leaves a
 * gap, until the cleaner moves what is left in its slab.
 *
 * A large value stands among the blobs, and its record has its number. A cold record has no value in memory:
 * the log has it.
 *
 * @module
 */

import { copyText, type Memory, Text } from "../text.ts";
import { blobBytes, Blobs } from "./blobs.ts";
import {
  beginRecord,
  capacityAt,
  expiryAt,
  type Fields,
  FLAG,
  flipFlag,
  headAt,
  isInlineAt,
  keyLengthAt,
  keyStart,
  placeAt,
  roomFor,
  roomOfValue,
  usedBytesAt,
  valueLengthAt,
  valueStart,
  versionAt,
  writeFields,
  writePlace,
} from "./layout.ts";
import type { Slab } from "./slab.ts";
import { offsetOf, refTo, slabOf, Slabs, type SlabsOptions } from "./slabs.ts";

/** No record. */
export const NO_REF = 0;

/** A larger value is a blob, in bytes. */
const INLINE_BYTES_MAX = 4_096;

/** Records in slabs. */
export class Arena {
  /** The slabs, for whoever goes through them. */
  readonly slabs: Slabs;
  readonly #bySlab: readonly (Slab | undefined)[];
  readonly #blobs: Blobs;
  /** The bytes of records and values that were added and not only moved, since someone set it to 0. */
  addedBytes = 0;

  /** An empty arena; tests set a low number of slabs. */
  constructor(options: SlabsOptions = {}) {
    this.slabs = new Slabs(options);
    this.#blobs = new Blobs(options.budget);
    this.#bySlab = this.slabs.all;
  }

  /** The memory that the records take, in bytes. */
  get bytes(): number {
    return this.slabs.bytes + this.#blobs.bytes;
  }

  /** The part of it that eviction can reclaim: records with values, and the values. */
  get hotBytes(): number {
    return this.slabs.hotBytes + this.#blobs.bytes;
  }

  /** Whether a value is not in memory. */
  get hasCold(): boolean {
    return this.slabs.coldBytes > 0;
  }

  /** The memory of all records and values. */
  *pieces(): Generator<Memory> {
    yield* this.slabs.memories();
    yield* this.#blobs.memories();
  }

  /** The memory that a value of this length takes outside of slabs, in bytes. */
  static bytesOutside(valueLength: number): number {
    return valueLength > INLINE_BYTES_MAX ? blobBytes(valueLength) : 0;
  }

  /** Writes a record, cold if the value is a length alone, and returns it. Throws MemoryFullError. */
  add(key: Text, value: Text | number, fields: Fields): number {
    return this.#write(key, value, { fields, isMoved: false });
  }

  /** Whether a record's room fits such a value and expiry, without wasting half of it. */
  fits(ref: number, valueLength: number, expiresAt: number): boolean {
    const view = this.#view(ref);
    const at = offsetOf(ref);
    if (valueLength > INLINE_BYTES_MAX || !isInlineAt(view, at)) return false;
    const size = roomFor(keyLengthAt(view, at), valueLength, expiresAt);
    const capacity = capacityAt(view, at);
    return size <= capacity && 2 * size >= capacity;
  }

  /** Gives a record another value and other fields, in the room that it has, which `fits`. */
  overwrite(ref: number, value: Text, fields: Fields): void {
    const memory = this.memory(ref);
    const at = offsetOf(ref);
    copyText(value, memory, valueStart(memory.view, at));
    const flags = FLAG.RECENT; // It is as good as new, where new ones have a whole round before eviction.
    writeFields(memory.view, at, { flags, valueLength: value.end - value.start, fields });
  }

  /** Copies a record to where there is room, cold if that is wanted. A blob belongs to both then. Throws MemoryFullError. */
  copy(ref: number, { isCold = this.isCold(ref) } = {}): number {
    if (isCold) {
      const fields = this.fields(ref);
      return this.#write(this.key(ref), this.valueLength(ref), { fields, isMoved: true });
    }
    const size = this.capacity(ref);
    this.slabs.makeRoom(size, { isCold, isMoved: true });
    const copied = this.slabs.take(size, isCold);
    const at = offsetOf(ref);
    const bytes = new Text(this.memory(ref), at, at + this.usedBytes(ref));
    copyText(bytes, this.memory(copied), offsetOf(copied));
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
    return this.#bySlab[slabOf(ref)]!.memory;
  }

  /** All words of the slab that holds a record, of four bytes each. */
  words(ref: number): Int32Array {
    return this.#bySlab[slabOf(ref)]!.words;
  }

  /** The key of a record. */
  key(ref: number): Text {
    const memory = this.memory(ref);
    const start = keyStart(offsetOf(ref));
    return new Text(memory, start, start + this.keyLength(ref));
  }

  /** The length of a record's key, in bytes. */
  keyLength(ref: number): number {
    return keyLengthAt(this.#view(ref), offsetOf(ref));
  }

  /** Whether a record has this key. */
  hasKey(ref: number, key: Text): boolean {
    const { bytes, view } = this.memory(ref);
    const at = offsetOf(ref);
    if (keyLengthAt(view, at) !== key.end - key.start) return false;
    const shift = keyStart(at) - key.start;
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
    const memory = this.memory(ref);
    const { view } = memory;
    const at = offsetOf(ref);
    const start = valueStart(view, at);
    const length = valueLengthAt(view, at);
    if (isInlineAt(view, at)) return new Text(memory, start, start + length);
    if (this.isCold(ref)) throw new Error("Cannot read a value: it is not in memory");
    return this.#blobs.get(view.getUint32(start, true), length);
  }

  /** The length of a record's value, wherever it is, in bytes. */
  valueLength(ref: number): number {
    return valueLengthAt(this.#view(ref), offsetOf(ref));
  }

  /** The version of a record. */
  version(ref: number): number {
    return versionAt(this.#view(ref), offsetOf(ref));
  }

  /** When a record expires, in milliseconds since 1970; 0 if it does not. */
  expiresAt(ref: number): number {
    return expiryAt(this.#view(ref), offsetOf(ref));
  }

  /** Where the newest record of the key starts in the log, in bytes. */
  place(ref: number): number {
    return placeAt(this.#view(ref), offsetOf(ref));
  }

  /** Sets the place of a record. */
  setPlace(ref: number, place: number): void {
    writePlace(this.#view(ref), offsetOf(ref), place);
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
    return (this.#head(ref) & FLAG.COLD) !== 0;
  }

  /** Whether a record has been freed. Valid only if nothing has been added since. */
  isFreed(ref: number): boolean {
    const slab = this.#bySlab[slabOf(ref)];
    return slab === undefined || (this.#head(ref) & FLAG.FREED) !== 0;
  }

  /** Whether a record has been read since eviction last passed it. */
  isRecent(ref: number): boolean {
    return (this.#head(ref) & FLAG.RECENT) !== 0;
  }

  /** Notes that a record has been read, or forgets it. */
  setRecent(ref: number, isRecent: boolean): void {
    if (this.isRecent(ref) !== isRecent) this.#flip(ref, FLAG.RECENT);
  }

  /** Whether a record is in the order by key. */
  isListed(ref: number): boolean {
    return (this.#head(ref) & FLAG.LISTED) !== 0;
  }

  /** Notes whether a record is in the order by key. */
  setListed(ref: number, isListed: boolean): void {
    if (this.isListed(ref) !== isListed) this.#flip(ref, FLAG.LISTED);
  }

  /** The room of a record, in bytes. */
  capacity(ref: number): number {
    return capacityAt(this.#view(ref), offsetOf(ref));
  }

  /** A slab's first record, or the one after this one; NO_REF after the last, or if the slab is gone. */
  recordAfter({ number, ref }: { number: number; ref: number }): number {
    const slab = this.#bySlab[number];
    if (slab === undefined) return NO_REF;
    const at = ref === NO_REF ? 0 : offsetOf(ref) + this.capacity(ref);
    return at >= slab.used ? NO_REF : refTo(number, at);
  }

  /** All records that are not freed, slab by slab. */
  *records(): Generator<number> {
    for (let number = 1; number < this.#bySlab.length; number++) {
      for (let ref = NO_REF; (ref = this.recordAfter({ number, ref })) !== NO_REF;) {
        if (!this.isFreed(ref)) yield ref;
      }
    }
  }

  /** Throws an error where what the slabs and blobs count differs from what they hold. */
  check(): void {
    this.slabs.check();
    this.#blobs.check();
    for (const [number, slab] of this.#bySlab.entries()) {
      if (slab === undefined || number === 0) continue;
      let live = 0;
      for (let ref = NO_REF; (ref = this.recordAfter({ number, ref })) !== NO_REF;) {
        if (this.isFreed(ref)) continue;
        if (this.isCold(ref) !== slab.isCold) throw new Error("A record is in the wrong slab");
        live += this.capacity(ref);
      }
      if (live !== slab.liveBytes) throw new Error(`Slab ${number} has a wrong count`);
    }
  }

  /** The bytes of a record that are in use, from its start on. */
  usedBytes(ref: number): number {
    return usedBytesAt(this.#view(ref), offsetOf(ref));
  }

  /** Whether the value of a record is a blob. */
  isBlob(ref: number): boolean {
    return (this.#head(ref) & FLAG.BLOB) !== 0;
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
    const valueRoom = roomOfValue(flags, valueLength);
    const size = roomFor(key.end - key.start, valueRoom, fields.expiresAt);
    this.slabs.makeRoom(size, { isCold, isMoved });
    const blob = isBlob ? this.#blobs.add(value) : 0;
    const ref = this.slabs.take(size, isCold);
    if (!isMoved) this.addedBytes += isBlob ? size + valueLength : size;
    const memory = this.memory(ref);
    const at = offsetOf(ref);
    beginRecord(key, size, memory, at);
    const start = valueStart(memory.view, at);
    if (isBlob) memory.view.setUint32(start, blob, true);
    else if (!isCold) copyText(value, memory, start);
    writeFields(memory.view, at, { flags, valueLength, fields });
    return ref;
  }

  #freeRoom(ref: number): void {
    if (this.isFreed(ref)) throw new Error("Cannot free a record: nothing refers to it");
    this.#flip(ref, FLAG.FREED);
    this.slabs.free(ref, this.capacity(ref));
  }

  #blobOf(ref: number): number {
    const view = this.#view(ref);
    return view.getUint32(valueStart(view, offsetOf(ref)), true);
  }

  #head(ref: number): number {
    return headAt(this.#view(ref), offsetOf(ref));
  }

  #flip(ref: number, flag: number): void {
    flipFlag(this.#view(ref), offsetOf(ref), flag);
  }

  #view(ref: number): DataView {
    return this.#bySlab[slabOf(ref)]!.memory.view;
  }
}
