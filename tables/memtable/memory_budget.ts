/**
 * The memory of a memtable: whatever it allocates is counted here, and freed here at once rather than when the
 * garbage collector comes to it. So the count is what the process holds, and a bound on it can be kept.
 *
 * @module
 */

import { Memory } from "../text.ts";
import { MemoryFullError } from "./memory_full.ts";

/**
 * How much freed memory is kept for the next use, in bytes: fresh memory must be zeroed first, and once memory with
 * a DataView has been given back, V8 checks at each use of any DataView whether its memory is still there.
 */
const KEPT_BYTES_MAX = 16_777_216;
/**
 * What clients can't fill, in bytes. Removing and undoing take memory too before they give some back, and so
 * does closing gaps: a slab for each kind of records, larger parts of the index and a longer journal.
 */
export const RESERVE_BYTES = 8_388_608;

/** Counts memory, against a bound. */
export class MemoryBudget {
  /** The most memory to hold, in bytes. It may change at any time. */
  bytesMax: number;
  #bytes = 0;
  /** Freed memory that is kept, by size. */
  readonly #kept = new Map<number, Memory[]>();
  #keptBytes = 0;

  /** Holds nothing yet; without a bound, there is always room. */
  constructor(bytesMax = Infinity) {
    this.bytesMax = bytesMax;
  }

  /** The memory that is held, in bytes, with what is kept for the next use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The memory that is used, in bytes. */
  get usedBytes(): number {
    return this.#bytes - this.#keptBytes;
  }

  /** How much more clients may store, in bytes; below 0 where the reserve is being used. */
  get room(): number {
    return this.bytesMax - RESERVE_BYTES - this.usedBytes;
  }

  /** Memory of this size, with whatever it held before. Throws MemoryFullError where the system has none. */
  memory(bytes: number): Memory {
    return this.#fromKept(bytes) ?? this.#allocate(bytes, () => new Memory(bytes));
  }

  /** So many integers of four bytes, all zeros. Throws MemoryFullError where the system has no memory. */
  integers(count: number): Int32Array<ArrayBuffer> {
    return this.#allocate(4 * count, () => new Int32Array(count));
  }

  /**
   * Takes back memory that the table no longer reads. Some is kept for the next use; the system gets the rest now,
   * and nothing can be read from it any longer, but by those who lease it. What these hold is counted no longer: it
   * is part of their unsent replies.
   */
  free(memory: Memory | ArrayBuffer): void {
    const size = sizeOf(memory);
    const isKept = memory instanceof Memory && memory.leases === 0 && size <= KEPT_BYTES_MAX &&
      this.#bytes <= this.bytesMax;
    if (!isKept) return this.#release(memory);
    memory.isLeasable = false;
    while (this.#keptBytes + size > KEPT_BYTES_MAX) this.#freeKept();
    const same = this.#kept.get(size);
    if (same === undefined) this.#kept.set(size, [memory]);
    else same.push(memory);
    this.#keptBytes += size;
  }

  /** Throws an error where memory that is kept is leased. */
  check(): void {
    for (const memory of [...this.#kept.values()].flat()) {
      if (memory.leases > 0 || memory.isLeasable) throw new Error("Kept memory is leased");
    }
  }

  #allocate<Result>(bytes: number, make: () => Result): Result {
    while (this.#keptBytes > 0 && this.#bytes + bytes > this.bytesMax) this.#freeKept();
    try {
      const made = make();
      this.#bytes += bytes;
      return made;
    } catch (cause) {
      if (cause instanceof RangeError) throw new MemoryFullError({ cause });
      throw cause;
    }
  }

  #fromKept(size: number): Memory | undefined {
    const same = this.#kept.get(size);
    const memory = same?.pop();
    if (memory === undefined) return undefined;
    if (same!.length === 0) this.#kept.delete(size);
    this.#keptBytes -= size;
    return memory;
  }

  /** Gives memory back to the system. */
  #release(memory: Memory | ArrayBuffer): void {
    this.#bytes -= sizeOf(memory);
    if (memory instanceof Memory) memory.free();
    else memory.transfer(0);
  }

  /** Frees some of the size that has been there for longest: perhaps nobody asks for it any longer. */
  #freeKept(): void {
    const size = this.#kept.keys().next().value!;
    this.#release(this.#fromKept(size)!);
  }
}

/** The size of memory in either form, in bytes. */
export function sizeOf(memory: Memory | ArrayBuffer): number {
  return memory instanceof Memory ? memory.bytes.length : memory.byteLength;
}
