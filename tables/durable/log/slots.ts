/**
 * The slots of the log's file: which are free, and how the file grows and shrinks by them.
 *
 * The file is filled with zeros before it is used, because a sync takes about half as long if the file does
 * not grow, and because a full disk must show before a turn depends on the space. A copy of the log that
 * began before a slot was released still reads that slot, so it is held until no copy is under way.
 *
 * @module
 */

import { assertThat } from "../errors.ts";
import type { PositionedFile } from "./file.ts";

const ZEROS = new Uint8Array(262_144);

/** The slots of a file. */
export class Slots {
  readonly #file: PositionedFile;
  readonly #slotBytes: number;
  readonly #mayReuse: () => boolean;
  /** The free ones, in ascending order. */
  readonly #free: number[] = [];
  /** Those that a copy under way may still read. */
  #held: number[] = [];
  /** How many slots the file has, whole ones. */
  #count: number;
  /** The size of the file, which may include an incomplete slot. */
  #size: number;

  /** Takes a file of so many bytes, in which these slots are taken; all others are free. */
  constructor(
    file: PositionedFile,
    { slotBytes, taken, mayReuse }: {
      slotBytes: number;
      taken: ReadonlySet<number>;
      mayReuse: () => boolean;
    },
  ) {
    this.#file = file;
    this.#mayReuse = mayReuse;
    this.#slotBytes = slotBytes;
    this.#count = Math.floor(file.size() / slotBytes);
    for (const slot of taken) this.#count = Math.max(this.#count, slot + 1);
    // The file may end within a slot. If a segment has that slot, turns go there, and nothing may be
    // filled. If none has, there may be a prepared header, and all of the slot must be filled.
    this.#size = this.#count * slotBytes;
    for (let slot = 0; slot < this.#count; slot++) if (!taken.has(slot)) this.#free.push(slot);
  }

  /** The size of the file, in bytes. */
  get bytes(): number {
    return this.#size;
  }

  /** The free slots, in ascending order. */
  get free(): readonly number[] {
    return this.#free;
  }

  /** Takes this many free slots in a row, and returns the first; undefined if there are none. */
  take(count = 1): number | undefined {
    for (let i = 0; i + count <= this.#free.length; i++) {
      if (this.#free[i + count - 1]! - this.#free[i]! !== count - 1) continue;
      const [first] = this.#free.splice(i, count);
      return first;
    }
    return undefined;
  }

  /** Gives this many slots back, from this one on. They are held while a copy of the log is under way. */
  release(slot: number, count = 1): void {
    for (let i = 0; i < count; i++) this.#held.push(slot + i);
    this.freeHeld();
  }

  /** Frees held slots, if no copy of the log is under way any longer. */
  freeHeld(): void {
    if (this.#held.length === 0 || !this.#mayReuse()) return;
    this.#free.push(...this.#held);
    this.#free.sort((a, b) => a - b);
    this.#held = [];
  }

  /**
   * Extends the file by at most this many bytes of zeros, towards one more slot; true once that is free.
   * Throws errors of the system.
   */
  grow(bytesMax = Infinity): boolean {
    const end = (this.#count + 1) * this.#slotBytes;
    let left = bytesMax;
    while (this.#size < end && left > 0) {
      const length = Math.min(ZEROS.length, end - this.#size, left);
      this.#file.write(ZEROS.subarray(0, length), this.#size);
      this.#size += length;
      left -= length;
    }
    if (this.#size < end) return false;
    this.#free.push(this.#count++);
    return true;
  }

  /** Takes this many new slots in a row at the end of the file. Throws errors of the system. */
  extend(count: number): number {
    let first = this.#count;
    while (this.#free.at(-1) === first - 1 && this.#count - first < count) {
      this.#free.pop();
      first--;
    }
    try {
      while (this.#count < first + count) {
        this.grow();
        this.#free.pop();
      }
    } catch (error) {
      for (let slot = first; slot < this.#count; slot++) this.#free.push(slot);
      throw error;
    }
    return first;
  }

  /** Cuts off the free slots at the end of the file, except for this many, and any incomplete slot. */
  shrink(keep: number): void {
    let count = this.#count;
    while (this.#free.length > keep && this.#free.at(-1) === count - 1) {
      this.#free.pop();
      count--;
    }
    const size = count * this.#slotBytes;
    if (size >= this.#size) return;
    this.#count = count;
    this.#size = size;
    this.#file.truncate(size);
  }

  /** Throws an error unless each slot is either among these, or free, or held. */
  check(taken: ReadonlySet<number>): void {
    const all = [...taken, ...this.#free, ...this.#held];
    assertThat(new Set(all).size === all.length, "a slot has one use");
    assertThat(all.length === this.#count, "each slot has a use");
    assertThat(all.every((slot) => slot < this.#count), "slots are in the file");
  }
}
