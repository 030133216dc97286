/**
 * Entries that were read or written of late, so that `sqlite_table.ts` finds hot keys with one look
 * into a Map.
 *
 * @module
 */

import { KeyMap } from "./key_map.ts";
import type { Entry } from "./table.ts";

/** What an entry costs beside its text, in bytes: Map slot, objects and string headers, as measured. */
const ENTRY_BYTES = 200;

/** How much of the cache is freed at once. */
const EVICTED_PART = 1 / 64;
/** How many hot entries one eviction passes over: it must not stop clients where all are hot. */
const SECOND_CHANCES_MAX = 4_096;

interface Slot {
  readonly entry: Entry;
  readonly bytes: number;
  /** Whether it was asked for since eviction last passed by. */
  isHot: boolean;
}

/**
 * A bounded cache. Eviction is CLOCK (second chance): a hit costs one store, where true LRU would move
 * the entry, and an entry that was asked for since the hand last passed survives this pass.
 */
export class EntryCache {
  readonly #bytesMax: number;
  readonly #slots = new KeyMap<Slot>();
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /** Holds at most about this many bytes. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The entry of a key, if it is held. */
  get(key: string): Entry | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) {
      this.#misses++;
      return undefined;
    }
    this.#hits++;
    slot.isHot = true;
    return slot.entry;
  }

  /** Holds an entry, in place of what else was held of this key. */
  set(key: string, entry: Entry): void {
    this.delete(key);
    const bytes = ENTRY_BYTES + bytesOf(key) + bytesOf(entry.value);
    if (bytes > this.#bytesMax) return;
    this.#slots.set(key, { entry, bytes, isHot: false });
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) this.#evict();
  }

  /** Lets go of a key. */
  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#bytes -= slot.bytes;
  }

  /** How much is held and how often it helped. */
  get figures(): { bytes: number; entries: number; hits: number; misses: number } {
    return {
      bytes: this.#bytes,
      entries: this.#slots.size,
      hits: this.#hits,
      misses: this.#misses,
    };
  }

  /**
   * Makes room. A Map keeps the order of insertion, so its begin is where the clock's hand stands. A
   * part is freed at once, because each pass first has to step over what earlier ones have removed.
   */
  #evict(): void {
    const bytesKept = this.#bytesMax * (1 - EVICTED_PART);
    let chances = SECOND_CHANCES_MAX;
    for (const [key, slot] of this.#slots) {
      if (this.#bytes <= bytesKept) return;
      this.#slots.delete(key);
      if (slot.isHot && chances-- > 0) {
        slot.isHot = false;
        this.#slots.set(key, slot); // The hand comes by again behind all others.
      } else {
        this.#bytes -= slot.bytes;
      }
    }
  }
}

/** V8 takes a byte for each unit of a text that is all Latin-1, and two otherwise. */
function bytesOf(text: string): number {
  return /^[\0-\xff]*$/.test(text) ? text.length : 2 * text.length;
}
