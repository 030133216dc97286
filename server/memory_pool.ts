/**
 * A pool of memory for packets and replies, because allocating memory costs more than filling it. The line
 * reader takes memory from it for packets, the outbox for replies.
 *
 * @module
 */

import { Memory } from "../tables/text.ts";

/** The smallest and the largest size, in bytes; each is twice the one before. Larger memory is not kept. */
const [BYTES_MIN, BYTES_MAX] = [1_024, 262_144];
/** How much to keep of all sizes together, in bytes: replies of 100 KiB for a hundred clients. */
const KEPT_BYTES_MAX = 16_777_216;

const kept = new Map<number, Memory[]>();
for (let bytes = BYTES_MIN; bytes <= BYTES_MAX; bytes *= 2) kept.set(bytes, []);
let keptBytes = 0;

/** Memory of at least this many bytes. Its content is left from its last use. */
export function takeMemory(bytes: number): Memory {
  if (bytes > BYTES_MAX) return new Memory(bytes);
  let size = BYTES_MIN;
  while (size < bytes) size *= 2;
  const memory = kept.get(size)!.pop();
  if (memory === undefined) return new Memory(size);
  keptBytes -= size;
  return memory;
}

/** Returns memory that is no longer read or written; memory not made by `takeMemory` is left alone. */
export function giveMemory(memory: Memory): void {
  const { length } = memory.bytes;
  const same = kept.get(length);
  if (same === undefined || keptBytes + length > KEPT_BYTES_MAX) return;
  same.push(memory);
  keptBytes += length;
}
