/**
 * Running out of memory: the table goes on, and refuses what would need more.
 *
 * @module
 */

import { TableError } from "../table.ts";
import { Memory } from "../text.ts";

/** There is no memory for another entry. It passes once entries are removed. */
export class MemoryFullError extends TableError {
  /** Tells clients what still works. */
  constructor(options?: ErrorOptions) {
    super("memory full; GET, DELETE and CLEAR go on", options);
  }
}

/** New memory, all zeros. Throws MemoryFullError. */
export function allocate(bytes: number): Memory {
  return orMemoryFull(() => new Memory(bytes));
}

/** So many integers of four bytes, all zeros. Throws MemoryFullError. */
export function allocateIntegers(count: number): Int32Array<ArrayBuffer> {
  return orMemoryFull(() => new Int32Array(count));
}

function orMemoryFull<Result>(make: () => Result): Result {
  try {
    return make();
  } catch (cause) {
    if (cause instanceof RangeError) throw new MemoryFullError({ cause });
    throw cause;
  }
}
