/**
 * The hash of a key: HalfSipHash-1-3, a keyed function made so that nobody who lacks the key can find
 * texts that collide, however many replies he times. See Aumasson and Bernstein, "SipHash: a fast short-input
 * PRF" (2012), and the reference `halfsiphash.c` for the 32-bit variant.
 *
 * @module
 */

import type { Memory, Text } from "../text.ts";

/** The secret key of the process. */
const [KEY_0, KEY_1] = crypto.getRandomValues(new Int32Array(2)) as unknown as [number, number];

/** The hash of a key under the secret of this process: never 0. The text keeps it. */
export function hashOf(key: Text): number {
  if (key.hash !== 0) return key.hash;
  const hash = halfSipHash(key, KEY_0, KEY_1);
  return key.hash = hash === 0 ? 1 : hash;
}

/** HalfSipHash-1-3 of a text under a key of two words, as a signed 32-bit integer. */
export function halfSipHash(
  { memory, start, end }: Text,
  key0: number,
  key1: number,
): number {
  let [v0, v1, v2, v3] = [key0, key1, key0 ^ 0x6c796765, key1 ^ 0x74656462];
  let at = start;
  // One round for each word, and one for the last, which holds the rest and the length.
  for (let isLast = false; !isLast; at += 4) {
    isLast = at + 4 > end;
    const word = isLast ? tailWord(memory, at, end, end - start) : memory.view.getInt32(at, true);
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let round = 0; round < 3; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return v1 ^ v3;
}

/** The last word: up to three bytes that are left, and the length in the high byte. */
function tailWord({ view, bytes }: Memory, at: number, end: number, length: number): number {
  let word = length << 24;
  if (length >= 4) {
    // From the last four bytes, of which the first belong to the word before.
    return word | (view.getInt32(end - 4, true) >>> 8 >>> (8 * (at + 3 - end)));
  }
  for (let i = at; i < end; i++) word |= bytes[i]! << (8 * (i - at));
  return word;
}
