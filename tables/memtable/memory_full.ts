/**
 * Running out of memory: the table goes on, and refuses what would need more.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** There is no memory for another entry. It passes once entries are removed. */
export class MemoryFullError extends TableError {
  /** Tells clients what still works. */
  constructor(options?: ErrorOptions) {
    super("memory full; GET, DELETE and CLEAR go on", options);
  }
}
