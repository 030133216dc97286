/**
 * Reads what it takes to find keys, before they are looked up.
 *
 * A look-up waits for memory twice, for its slot of the index and for its record, and with a table that is
 * larger than the processor's caches that is most of its time. The processor can wait for many places at
 * once, but it does not see far enough ahead to begin the next look-up by itself. So each loop here does one
 * thing for all keys, and little of it.
 *
 * @module
 */

import type { Text } from "../text.ts";
import { type Arena, NO_REF } from "./arena.ts";
import { firstPair, type HashIndex } from "./hash_index.ts";
import { hashOf } from "./key_hash.ts";
import { offsetOf } from "./slabs.ts";

/** How many keys to read ahead: what comes before the first look-up must still be in the caches. */
const KEYS_MAX = 64;

/**
 * Which words of a record to read after its first. A cache line has 64 bytes, or 16 words, and a record may
 * begin anywhere in one: these reach each line of its first 92 bytes, which hold most of a small record.
 */
const [SECOND, THIRD] = [12, 22];

/** Reads ahead in a memtable. */
export class Prefetcher {
  /** What has been read. It is of no use, but without it the engine could leave out the reads. */
  read = 0;
  readonly #hashes = new Int32Array(KEYS_MAX);
  readonly #refs = new Int32Array(KEYS_MAX);

  /** Reads the slots and the records of these keys, or of the first 64. */
  prefetch(keys: readonly Text[], { arena, index }: { arena: Arena; index: HashIndex }): void {
    const count = Math.min(keys.length, KEYS_MAX);
    const hashes = this.#hashes;
    const refs = this.#refs;
    let read = 0;
    for (let i = 0; i < count; i++) hashes[i] = hashOf(keys[i]!);
    for (let i = 0; i < count; i++) {
      const slots = index.slotsFor(hashes[i]!);
      read ^= slots[firstPair(hashes[i]!, slots)]!;
    }
    for (let i = 0; i < count; i++) refs[i] = index.candidate(hashes[i]!);
    for (let i = 0; i < count; i++) {
      const ref = refs[i]!;
      if (ref === NO_REF) continue;
      const words = arena.words(ref);
      const first = offsetOf(ref) >>> 2;
      const last = words.length - 1;
      read ^= words[first]! ^ words[Math.min(first + SECOND, last)]! ^
        words[Math.min(first + THIRD, last)]!;
    }
    this.read = read;
  }
}
