/**
 * The checksums of the log: XXH32 against the vectors of its own sanity tests, and what a checksum notices.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { checksum, xxh32 } from "../../../tables/durable/log/checksum.ts";
import { Memory } from "../../../tables/text.ts";

const PRIME = 0x9e3779b1;

// XSUM_XXH32_testdata, in tests/sanity_test_vectors.h of https://github.com/Cyan4973/xxHash: length, seed, sum.
const VECTORS: readonly (readonly [length: number, seed: number, sum: number])[] = [
  [0, 0, 0x02cc5d05],
  [0, PRIME, 0x36b78ae7],
  [1, 0, 0xcf65b03e],
  [1, PRIME, 0xb4545aa4],
  [2, 0, 0x1151bee4],
  [3, PRIME, 0x1a269947],
  [4, 0, 0xa9de7ce9],
  [4, PRIME, 0x2baafe83],
  [8, 0, 0xa3f6f44b],
  [9, PRIME, 0xd35632c6],
  [14, 0, 0x1208e7e2],
  [14, PRIME, 0x6af1d1fe],
  [16, 0, 0x93ba3759],
  [16, PRIME, 0xa94fc1e1],
  [17, 0, 0x89fdc23e],
  [17, PRIME, 0xc9910739],
  [32, 0, 0xd89829ec],
  [32, PRIME, 0xa5c44467],
  [222, 0, 0x5bd11dbd],
  [222, PRIME, 0x58803c5f],
  [2_367, 0, 0x4c8a9773],
  [2_367, PRIME, 0x6d5366f6],
];

/** The bytes that the vectors are of: the high bytes of the powers of a prime, modulo two to the 64. */
function sanityBytes(length: number): Uint8Array<ArrayBuffer> {
  let power = BigInt(PRIME);
  return Uint8Array.from({ length }, () => {
    const byte = Number(power >> 56n);
    power = BigInt.asUintN(64, power * 0x9e3779b185ebca8dn);
    return byte;
  });
}

Deno.test("XXH32 gives what its own sanity tests expect, wherever the bytes stand", () => {
  for (const [length, seed, sum] of VECTORS) {
    for (const shift of [0, 1, 3, 8]) {
      const memory = new Memory(length + shift + 5);
      memory.bytes.fill(0xa5);
      memory.bytes.set(sanityBytes(length), shift);
      assertEquals(xxh32(memory, shift, shift + length, seed), sum, `${length} bytes at ${shift}`);
    }
  }
});

Deno.test("a checksum changes with each bit, with the seed, and with the length, on both sides of CRC-32", () => {
  for (const length of [1, 40, 319, 320, 700]) {
    const memory = new Memory(sanityBytes(length + 1));
    const sum = checksum(memory, 0, length, 7);
    assert(Number.isInteger(sum) && sum >= 0 && sum < 2 ** 32);
    for (let bit = 0; bit < 8 * length; bit++) {
      memory.bytes[bit >> 3]! ^= 1 << (bit & 7);
      assert(checksum(memory, 0, length, 7) !== sum, `bit ${bit} of ${length} bytes`);
      memory.bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    assert(checksum(memory, 0, length, 8) !== sum);
    assert(checksum(memory, 0, length + 1, 7) !== sum);
    assert(checksum(memory, 0, length, -7) === checksum(memory, 0, length, -7 >>> 0));
  }
  const memory = new Memory(sanityBytes(320));
  assertEquals(checksum(memory, 0, 320, 0), crc32(memory.bytes));
});
