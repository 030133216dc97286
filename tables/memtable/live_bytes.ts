/**
 * How many bytes of each segment of a log hold the newest records of keys: what compaction would have to copy.
 *
 * @module
 */

/** What a memtable must know of the log that its places refer to. */
export interface LogGeometry {
  /** The size of a segment, in bytes. */
  readonly segmentBytes: number;
  /** The size of a record with a key and a value of these lengths, in bytes. */
  recordBytes(keyLength: number, valueLength: number, expiresAt: number): number;
}

/** Live bytes by the slot of a segment in its log: its place, divided by the size of a segment. */
export class LiveBytes {
  readonly #segmentBytes: number;
  #slots = new Float64Array(64);
  #total = 0;

  /** Slots are of the size of this log's segments. */
  constructor({ segmentBytes }: LogGeometry) {
    this.#segmentBytes = segmentBytes;
  }

  /** The bytes of all slots. */
  get total(): number {
    return this.#total;
  }

  /** The live bytes in a slot. */
  in(slot: number): number {
    return this.#slots[slot] ?? 0;
  }

  /** Adds the bytes of a record at this place, or with a negative number takes them away. */
  add(place: number, bytes: number): void {
    const slot = Math.floor(place / this.#segmentBytes);
    if (slot >= this.#slots.length) this.#grow(slot);
    this.#slots[slot]! += bytes;
    this.#total += bytes;
  }

  /** Throws an error where these counts differ from others. */
  check(others: LiveBytes): void {
    const slots = Math.max(this.#slots.length, others.#slots.length);
    for (let slot = 0; slot < slots; slot++) {
      if (this.in(slot) === others.in(slot)) continue;
      throw new Error(`Slot ${slot} has ${others.in(slot)} live bytes, not ${this.in(slot)}`);
    }
    if (this.#total !== others.#total) throw new Error("The sum of live bytes is wrong");
  }

  #grow(slot: number): void {
    const grown = new Float64Array(2 * slot);
    grown.set(this.#slots);
    this.#slots = grown;
  }
}
