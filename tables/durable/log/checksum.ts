/**
 * The checksums of the log: XXH32 for short runs of bytes, and CRC-32, which Deno computes natively, for
 * longer ones. A native call costs as much as the XXH32 of about 300 bytes.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import type { Memory } from "../../text.ts";

/** From this length on, in bytes, a checksum is a CRC-32. */
const CRC_BYTES_MIN = 320;

// The primes of XXH32: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
const PRIME_1 = 0x9e3779b1 | 0;
const PRIME_2 = 0x85ebca77 | 0;
const PRIME_3 = 0xc2b2ae3d | 0;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** The checksum of the bytes from `start` to `end`, under a seed of 32 bits, as an unsigned integer. */
export function checksum(memory: Memory, start: number, end: number, seed: number): number {
  if (end - start >= CRC_BYTES_MIN) return crc32(memory.bytes.subarray(start, end), seed >>> 0);
  return xxh32(memory, start, end, seed);
}

/** XXH32, as an unsigned integer. */
export function xxh32({ view, bytes }: Memory, start: number, end: number, seed: number): number {
  const length = end - start;
  let hash: number;
  let i = start;
  if (length >= 16) {
    let a = (seed + PRIME_1 + PRIME_2) | 0;
    let b = (seed + PRIME_2) | 0;
    let c = seed | 0;
    let d = (seed - PRIME_1) | 0;
    for (; i + 16 <= end; i += 16) {
      a = round(a, view.getInt32(i, true));
      b = round(b, view.getInt32(i + 4, true));
      c = round(c, view.getInt32(i + 8, true));
      d = round(d, view.getInt32(i + 12, true));
    }
    hash = (rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)) | 0;
  } else {
    hash = (seed + PRIME_5) | 0;
  }
  hash = (hash + length) | 0;
  for (; i + 4 <= end; i += 4) {
    hash = (hash + Math.imul(view.getInt32(i, true), PRIME_3)) | 0;
    hash = Math.imul(rotate(hash, 17), PRIME_4);
  }
  for (; i < end; i++) {
    hash = (hash + Math.imul(bytes[i]!, PRIME_5)) | 0;
    hash = Math.imul(rotate(hash, 11), PRIME_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(lane: number, word: number): number {
  return Math.imul(rotate((lane + Math.imul(word, PRIME_2)) | 0, 13), PRIME_1);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
