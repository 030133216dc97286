/**
 * How much memory this process has. The start asks, unless `--max-memory` and `--cache` say how much of it
 * the table and its values may take.
 *
 * @module
 */

import { totalmem } from "node:os";
import process from "node:process";

/** The share of the memory that values may take. Keys, clients and other programs need some, too. */
const CACHE_SHARE = 1 / 4;
/** The share of the memory that the process may take. */
const PROCESS_SHARE = 3 / 4;
const MIB = 1_048_576;

/** How to ask the system; both in bytes. */
export interface MemorySource {
  /** The memory of the machine. */
  total(): number;
  /** What the control group allows, for example a container's; 0 or a huge number if it sets no limit. */
  limit(): number;
}

// The files of cgroups themselves can be read only with all permissions; this takes "systemMemoryInfo" alone.
const SYSTEM: MemorySource = { total: totalmem, limit: () => process.constrainedMemory() };

/** The default of `--cache`: a quarter of the memory, in bytes, a whole number of MiB. */
export function cacheBytesByDefault(source: MemorySource = SYSTEM): number {
  return inMib(CACHE_SHARE * memoryBytes(source));
}

/** The default of `--max-memory`: three quarters of the memory, in bytes, a whole number of MiB. */
export function memoryBytesMaxByDefault(source: MemorySource = SYSTEM): number {
  return inMib(PROCESS_SHARE * memoryBytes(source));
}

function memoryBytes({ total, limit }: MemorySource): number {
  return Math.min(total(), limit() || Infinity);
}

function inMib(bytes: number): number {
  return Math.floor(bytes / MIB) * MIB;
}
