/**
 * Memory for what clients send and receive, which is used again: to make it costs more than to fill it. The
 * line reader takes it for long lines, the outbox for replies.
 *
 * @module
 */

import { Memory } from "../tables/text.ts";

/** The smallest and the largest size, in bytes; each is twice the one before. Larger memory is not kept. */
const [BYTES_MIN, BYTES_MAX] = [16_384, 262_144];
/** How much to keep for each size, in bytes. */
const KEPT_BYTES_MAX = 2_097_152;

const kept = new Map<number, Memory[]>();
for (let bytes = BYTES_MIN; bytes <= BYTES_MAX; bytes *= 2) kept.set(bytes, []);

/** Memory of at least so many bytes. What it holds is left from its last use. */
export function takeMemory(bytes: number): Memory {
  if (bytes > BYTES_MAX) return new Memory(bytes);
  let size = BYTES_MIN;
  while (size < bytes) size *= 2;
  return kept.get(size)!.pop() ?? new Memory(size);
}

/** Gives memory back that nobody reads or writes any more; any other than `takeMemory` makes is left alone. */
export function giveMemory(memory: Memory): void {
  const { length } = memory.bytes;
  const same = kept.get(length);
  if (same !== undefined && (same.length + 1) * length <= KEPT_BYTES_MAX) same.push(memory);
}
