/**
 * What both tables and the cache look keys up in: a hash table for texts that clients choose.
 *
 * A Map would do, but V8 makes one shared text of each key that it is asked for, in a table of all texts
 * of the program, and that costs more than the look-up itself. It also hashes texts that look like
 * numbers by their low bits, so that whoever wants can put all keys into one chain; and it grows at once,
 * which stops everyone where it is large. This one has a hash of its own, and grows a part at a time.
 *
 * @module
 */

/** What is held under a key knows it. */
export interface Keyed {
  /** The key. */
  readonly key: string;
}

/** How many parts there are, by the first bits of the hash: each growth is as much shorter. */
const PARTS = 16;
const PART_SHIFT = 28;
const PART_SLOTS_MIN = 4;
/** A part with more of its slots taken than this grows: probing gets long in a full one. */
const TAKEN_MAX = 0.7;
/** A slot that holds nothing. No hash is 0. */
const FREE = 0;

// Random, so that nobody can know which keys collide; but large and odd, so that it mixes well.
const [START, random] = crypto.getRandomValues(new Int32Array(2)) as unknown as [number, number];
const MULTIPLIER = random | 0x40000001;

/**
 * Items by their keys.
 *
 * @example
 * ```ts
 * import { KeyMap } from "./key_map.ts";
 *
 * const map = new KeyMap<{ key: string; color: string }>();
 * map.set({ key: "apple", color: "red" });
 * console.log(map.get("apple")?.color); // "red"
 * ```
 */
export class KeyMap<Item extends Keyed> {
  readonly #parts: (Part<Item> | undefined)[] = new Array(PARTS).fill(undefined);
  #size = 0;

  /** How many items there are. */
  get size(): number {
    return this.#size;
  }

  /** The item of a key. */
  get(key: string): Item | undefined {
    const hash = hashOf(key);
    const part = this.#parts[hash >>> PART_SHIFT];
    return part?.items[part.slotOf(key, hash)];
  }

  /** Holds an item, in place of the one that has the same key. */
  set(item: Item): void {
    const hash = hashOf(item.key);
    const part = this.#parts[hash >>> PART_SHIFT] ??= new Part();
    if (part.set(item, hash)) this.#size++;
  }

  /** Lets go of the item of a key. */
  delete(key: string): void {
    const hash = hashOf(key);
    if (this.#parts[hash >>> PART_SHIFT]?.delete(key, hash)) this.#size--;
  }

  /**
   * The items, in no order that means something. They may change meanwhile: what stays all the time
   * comes at least once, but for items that a removal has moved, which may be passed over.
   */
  *[Symbol.iterator](): Generator<Item> {
    for (const part of this.#parts) {
      if (part === undefined) continue;
      for (let slot = 0; slot < part.items.length; slot++) {
        const item = part.items[slot];
        if (item !== undefined) yield item;
      }
    }
  }
}

/** A hash table with linear probing: an item is in its slot, or in the next one that was free. */
class Part<Item extends Keyed> {
  /** By slot, the hash of its item, or FREE: most slots are told apart without a look at their items. */
  #hashes = new Int32Array(PART_SLOTS_MIN);
  items: (Item | undefined)[] = new Array(PART_SLOTS_MIN).fill(undefined);
  #size = 0;

  /** Where the item of a key is, or the free slot where it would be. */
  slotOf(key: string, hash: number): number {
    const hashes = this.#hashes;
    const last = hashes.length - 1;
    for (let slot = hash & last;; slot = (slot + 1) & last) {
      const other = hashes[slot];
      if (other === FREE || (other === hash && this.items[slot]!.key === key)) return slot;
    }
  }

  /** Returns whether the key is new. */
  set(item: Item, hash: number): boolean {
    const slot = this.slotOf(item.key, hash);
    const isNew = this.#hashes[slot] === FREE;
    this.#hashes[slot] = hash;
    this.items[slot] = item;
    if (isNew && ++this.#size > TAKEN_MAX * this.items.length) this.#grow();
    return isNew;
  }

  /** Returns whether the key was there. */
  delete(key: string, hash: number): boolean {
    const hashes = this.#hashes;
    const last = hashes.length - 1;
    let free = this.slotOf(key, hash);
    if (hashes[free] === FREE) return false;
    // Those behind it, up to the next free slot, move up where that brings them nearer to their own.
    for (let slot = (free + 1) & last; hashes[slot] !== FREE; slot = (slot + 1) & last) {
      const distance = (slot - hashes[slot]!) & last;
      if (distance < ((slot - free) & last)) continue;
      hashes[free] = hashes[slot]!;
      this.items[free] = this.items[slot];
      free = slot;
    }
    hashes[free] = FREE;
    this.items[free] = undefined;
    this.#size--;
    return true;
  }

  #grow(): void {
    const [hashes, items] = [this.#hashes, this.items];
    const last = 2 * items.length - 1;
    this.#hashes = new Int32Array(last + 1);
    this.items = new Array(last + 1).fill(undefined);
    for (let old = 0; old < items.length; old++) {
      const hash = hashes[old]!;
      if (hash === FREE) continue;
      let slot = hash & last;
      while (this.#hashes[slot] !== FREE) slot = (slot + 1) & last;
      this.#hashes[slot] = hash;
      this.items[slot] = items[old];
    }
  }
}

/** A hash that is never FREE. Each step mixes high bits into low ones, which decide on the slot. */
function hashOf(key: string): number {
  let hash = START;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), MULTIPLIER);
    hash ^= hash >>> 15;
  }
  return hash === FREE ? 1 : hash;
}
