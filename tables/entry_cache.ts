/**
 * Entries that were read or written of late, so that `sqlite_table.ts` finds hot keys in memory.
 *
 * @module
 */

import { KeyMap } from "./key_map.ts";
import type { Entry } from "./table.ts";

/** What an entry costs beside its text, in bytes: its place in the map, and the heads of its objects. */
const ENTRY_BYTES = 150;
/** How many hot entries one eviction passes over: it must not stop clients where all are hot. */
const SECOND_CHANCES_MAX = 4_096;

interface Cached extends Entry {
  readonly bytes: number;
  /** Whether it was asked for since the hand last passed by. */
  isHot: boolean;
}

/**
 * A bounded cache. Eviction is CLOCK (second chance): a hit costs one store, where true LRU would move
 * the entry, and an entry that was asked for since the hand last passed survives this pass.
 */
export class EntryCache {
  readonly #bytesMax: number;
  readonly #entries = new KeyMap<Cached>();
  /** Where the next eviction goes on, through the entries as they lie. */
  #hand = this.#entries[Symbol.iterator]();
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /** Holds at most about this many bytes. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The entry of a key, if it is held. */
  get(key: string): Entry | undefined {
    const cached = this.#entries.get(key);
    if (cached === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    cached.isHot = true;
    return cached;
  }

  /** Holds an entry, in place of what else was held of its key. */
  set({ key, value, version, expiresAt }: Entry): void {
    const bytes = ENTRY_BYTES + bytesOf(key) + bytesOf(value);
    if (bytes > this.#bytesMax) return this.delete(key);
    this.#bytes += bytes - (this.#entries.get(key)?.bytes ?? 0);
    this.#entries.set({ key, value, version, expiresAt, bytes, isHot: false });
    if (this.#bytes > this.#bytesMax) this.#evict();
  }

  /** Lets go of a key. */
  delete(key: string): void {
    const cached = this.#entries.get(key);
    if (cached !== undefined) this.#remove(cached);
  }

  /** How much is held and how often it helped. */
  get figures(): { bytes: number; entries: number; hits: number; misses: number } {
    return {
      bytes: this.#bytes,
      entries: this.#entries.size,
      hits: this.#hits,
      misses: this.#misses,
    };
  }

  /** Makes room. */
  #evict(): void {
    let chances = SECOND_CHANCES_MAX;
    while (this.#bytes > this.#bytesMax) {
      const { value: cached, done } = this.#hand.next();
      if (done) this.#hand = this.#entries[Symbol.iterator]();
      else if (cached.isHot && chances-- > 0) cached.isHot = false;
      else this.#remove(cached);
    }
  }

  #remove(cached: Cached): void {
    this.#entries.delete(cached.key);
    this.#bytes -= cached.bytes;
  }
}

/** V8 takes a byte for each unit of a text that is all Latin-1, and two otherwise. */
function bytesOf(text: string): number {
  return /^[\0-\xff]*$/.test(text) ? text.length : 2 * text.length;
}
