/**
 * The hash of a key: held against a slow implementation, which is held against the published vectors, and
 * tried with pairs of keys that differ in few bits, as someone who looks for collisions would try it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { halfSipHash, hashOf } from "../../../tables/memtable/key_hash.ts";
import { Memory, Text } from "../../../tables/text.ts";
import { type Draw, drawFrom } from "../../support/draw.ts";

/**
 * The first vectors of HalfSipHash-2-4 with 32 bits (vectors.h of the reference): of the messages "", 00, 00 01
 * and so on, under the key 00 01 02 03 04 05 06 07. The bytes are those of the output, in order.
 */
const VECTORS = [
  ...["a9359f5b", "27475ab8", "fa62a603", "8afee704", "2a6e4689", "c5fab669", "5863fc23"],
  ...["8bcf63c5", "d0b8848f", "f806e779", "94b07934", "08083050", "57f0872f", "77e663ff"],
  ...["d6fff87c", "74fe2b97", "d9b5ac84", "c474645b", "465b8d9b", "7befe387", "e34d1045"],
];

/** A key of HalfSipHash: two words. */
type Secret = readonly [number, number];
/** The rounds for each word of a message, and at the end. */
type Rounds = readonly [compression: number, finalization: number];

/** HalfSipHash as its authors describe it, step by step and in big integers. */
function slowHash(message: Uint8Array, [key0, key1]: Secret, [c, d]: Rounds): number {
  const word = (value: number | bigint) => BigInt.asUintN(32, BigInt(value));
  const rotated = (value: bigint, bits: bigint) => word((value << bits) | (value >> (32n - bits)));
  const v = [key0, key1, key0 ^ 0x6c796765, key1 ^ 0x74656462].map(word) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  const mix = (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      v[0] = word(v[0] + v[1]);
      v[2] = word(v[2] + v[3]);
      v[1] = rotated(v[1], 5n) ^ v[0];
      v[3] = rotated(v[3], 8n) ^ v[2];
      v[0] = rotated(v[0], 16n);
      v[0] = word(v[0] + v[3]);
      v[2] = word(v[2] + v[1]);
      v[3] = rotated(v[3], 7n) ^ v[0];
      v[1] = rotated(v[1], 13n) ^ v[2];
      v[2] = rotated(v[2], 16n);
    }
  };
  // The message, then zeros, so that its length is the fourth byte of the last word.
  const padded = new Uint8Array((message.length & ~3) + 4);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 4) {
    const m = padded.slice(at, at + 4).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    v[3] ^= m;
    mix(c);
    v[0] ^= m;
  }
  v[2] ^= 0xffn;
  mix(d);
  return Number(BigInt.asIntN(32, v[1] ^ v[3]));
}

Deno.test("the slow implementation yields the published vectors", () => {
  for (const [length, vector] of VECTORS.entries()) {
    const message = Uint8Array.from({ length }, (_, i) => i);
    const hash = slowHash(message, [0x03020100, 0x07060504], [2, 4]);
    const bytes = new Uint8Array(new Int32Array([hash]).buffer);
    assertEquals(bytes.toHex(), vector, `of ${length} bytes`);
  }
});

Deno.test("the hash is HalfSipHash-1-3, whatever the length of the key and wherever it lies", () => {
  const draw = drawFrom(1);
  for (let length = 0; length < 1_100; length += length < 70 ? 1 : 31) {
    const secret: Secret = [word(draw), word(draw)];
    const memory = new Memory(length + 24);
    for (let i = 0; i < memory.bytes.length; i++) memory.bytes[i] = draw(256);
    const start = draw(9);
    const key = new Text(memory, start, start + length);
    const expected = slowHash(key.toBytes(), secret, [1, 3]);
    assertEquals(halfSipHash(key, ...secret), expected, `of ${length} bytes`);
  }
});

Deno.test("a key is hashed under a secret of the process, is never 0, and its text keeps it", () => {
  const key = Text.of("kéy€🗝!");
  const hash = hashOf(key);
  assert(hash !== halfSipHash(key, 0, 0), "not under a key of zeros");
  assertEquals([hashOf(key), key.hash, hashOf(Text.of("kéy€🗝!"))], [hash, hash, hash]);
  key.hash = 7;
  assertEquals(hashOf(key), 7);
  for (let i = 0; i < 10_000; i++) assert(hashOf(Text.of(`${i}`)) !== 0);
});

/** Bits to flip in a message, as masks of its words from one of them on. */
type Difference = readonly number[];

/** Flips that cancel in a multiplicative hash: 29 and 30 of a word, with 29 and 14 of the next. */
const CANCELLING: Difference = [1 << 29 | 1 << 30, 1 << 29 | 1 << 14];
/** How many secrets are tried with each difference, and how many messages with each secret. */
const SECRETS = 64;
const MESSAGES = 64;
const WORDS = 8;

Deno.test("no difference of few bits makes keys collide more often than chance does", () => {
  const draw = drawFrom(2);
  const differences: Difference[] = Array<Difference>(16).fill(CANCELLING);
  for (let i = 0; i < 400; i++) differences.push(fewBits(draw));
  const message = Text.from(new Uint8Array(4 * WORDS));
  const { bytes, view } = message.memory;
  const collisions = { whole: 0, high: 0, low: 0 };
  let secret: Secret = [0, 0];
  for (const difference of differences) {
    for (let i = 0; i < SECRETS * MESSAGES; i++) {
      if (i % MESSAGES === 0) secret = [word(draw), word(draw)];
      for (let at = 0; at < bytes.length; at += 4) view.setInt32(at, word(draw), true);
      const hash = halfSipHash(message, ...secret);
      const first = draw(WORDS - difference.length + 1);
      for (const [place, mask] of difference.entries()) {
        const at = 4 * (first + place);
        view.setInt32(at, view.getInt32(at, true) ^ mask, true);
      }
      const difference32 = hash ^ halfSipHash(message, ...secret);
      if (difference32 === 0) collisions.whole++;
      if ((difference32 & 0xffff) === 0) collisions.low++;
      if (difference32 >>> 16 === 0) collisions.high++;
    }
  }
  // By chance: of 1,703,936 pairs 0.0004 share the whole hash, and 26 either half, with a deviation of 5.
  const { whole, high, low } = collisions;
  assertEquals(whole, 0, `${whole} pairs collide`);
  assert(high < 60 && low < 60, `${high} and ${low} pairs collide in half of the hash`);
});

/** One to four bits within one to three neighbouring words. */
function fewBits(draw: Draw): Difference {
  const masks = Array<number>(1 + draw(3)).fill(0);
  const bits = 1 + draw(4);
  for (let i = 0; i < bits; i++) masks[draw(masks.length)]! ^= 1 << draw(32);
  return masks.some((mask) => mask !== 0) ? masks : [1];
}

function word(draw: Draw): number {
  return draw(2 ** 32) | 0;
}
