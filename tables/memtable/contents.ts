/**
 * The contents of a memtable: records with their index, their orders and their counts. CLEAR replaces them as a
 * whole.
 *
 * @module
 */

import type { Memory, Text } from "../text.ts";
import { Arena, NO_REF } from "./arena.ts";
import { firstPair, HashIndex } from "./hash_index.ts";
import { hashOf } from "./key_hash.ts";
import { Lister } from "./lister.ts";
import { MemoryBudget } from "./memory_budget.ts";
import { LiveBytes, type LogGeometry } from "./live_bytes.ts";
import { ExpiryOrder, type ExpirySortKey, KeyOrder } from "./orders.ts";
import { SortedRefs } from "./sorted_refs.ts";

/** What tables are made with. */
export interface ContentsOptions {
  /** The log that places refer to; without one, all places are 0. */
  readonly log?: LogGeometry;
  /** The most slabs of the arena; tests set it low. */
  readonly slabsMax?: number;
  /** Where the memory comes from. */
  readonly budget?: MemoryBudget;
}

/** How many steps to list at a time, of which each goes through some thousand records. */
const LISTING_STEPS = 8;

/** No log: nothing is counted. */
const NO_LOG: LogGeometry = { segmentBytes: 1, recordBytes: () => 0 };

/** Records, with all that refers to them. */
export class Contents {
  /** The records. */
  readonly arena: Arena;
  /** Finds the record of a key. */
  readonly index: HashIndex;
  /** The records by key. */
  readonly byKey: SortedRefs<Text>;
  /** Those that expire, by expiry. */
  readonly byExpiry: SortedRefs<ExpirySortKey>;
  /** What they take in the log. */
  readonly liveBytes: LiveBytes;
  readonly #log: LogGeometry;
  #expiring = 0;
  /** Whether records are listed later, all at once. */
  #isLoading = false;
  /** Lists what was loaded; undefined if that is done. */
  #lister: Lister | undefined;

  /** Empty; `log` says how large the segments are in which records will have their places. */
  constructor({ log = NO_LOG, budget = new MemoryBudget(), ...options }: ContentsOptions) {
    this.arena = new Arena({ ...options, budget });
    this.index = new HashIndex(budget);
    this.byKey = new SortedRefs(new KeyOrder(this.arena), budget);
    this.byExpiry = new SortedRefs(new ExpiryOrder(this.arena), budget);
    this.liveBytes = new LiveBytes(log);
    this.#log = log;
  }

  /** The record of a key with this hash; NO_REF if there is none. */
  find(key: Text, hash: number): number {
    const { arena } = this;
    const slots = this.index.slotsFor(hash);
    for (let i = firstPair(hash, slots);;) {
      const other = slots[i]!;
      if (other === 0) return NO_REF;
      if (other === hash && arena.hasKey(slots[i + 1]!, key)) return slots[i + 1]!;
      i += 2;
      if (i === slots.length) i = 0;
    }
  }

  /** Contents without records, in the same state. */
  emptied(options: ContentsOptions): Contents {
    const contents = new Contents(options);
    contents.#isLoading = this.#isLoading;
    return contents;
  }

  /** All memory that the contents hold. */
  *pieces(): Generator<Memory | ArrayBuffer> {
    yield* this.arena.pieces();
    yield* this.index.buffers();
    yield* this.byKey.buffers();
    yield* this.byExpiry.buffers();
  }

  /** Begins to load many records: they are put in order by key afterwards, so that a start need not wait. */
  beginLoading(): void {
    this.#isLoading = true;
  }

  /** Ends loading: `listSome` must follow until it is done. */
  endLoading(): void {
    this.#isLoading = false;
    this.#lister = new Lister(this.arena, (ref) => this.list(ref));
  }

  /** Puts some of what was loaded in order by key, in some milliseconds at most; true if there is more. */
  listSome(): boolean {
    for (let step = 0; this.#lister !== undefined && step < LISTING_STEPS; step++) {
      if (!this.#lister.step()) this.#lister = undefined;
    }
    return this.#lister !== undefined;
  }

  /** Adds a record to the order by key. */
  list(ref: number): void {
    this.byKey.add(ref);
    this.arena.setListed(ref, true);
  }

  /** Adds a record to the orders and counts that it belongs to. */
  link(ref: number): void {
    if (!this.#isLoading) this.list(ref);
    this.linkExpiry(ref);
    this.countLive(ref, 1);
  }

  /** Removes a record from them, before it changes or goes. */
  unlink(ref: number): void {
    if (this.arena.isListed(ref)) this.byKey.remove(ref);
    this.arena.setListed(ref, false);
    this.unlinkExpiry(ref);
    this.countLive(ref, -1);
  }

  /** Does the same for a record that takes the place of another one of its key, which goes. */
  relink(from: number, to: number): void {
    if (this.arena.isListed(from)) {
      this.byKey.replace(from, to);
      this.arena.setListed(from, false);
      this.arena.setListed(to, true);
    } else if (!this.#isLoading) {
      this.list(to);
    }
    this.unlinkExpiry(from);
    this.linkExpiry(to);
    this.countLive(from, -1);
    this.countLive(to, 1);
  }

  /** Adds a record to the order by expiry, where it expires. */
  linkExpiry(ref: number): void {
    if (this.arena.expiresAt(ref) === 0) return;
    this.byExpiry.add(ref);
    this.#expiring++;
  }

  /** Removes a record from that order. */
  unlinkExpiry(ref: number): void {
    if (this.arena.expiresAt(ref) === 0) return;
    this.byExpiry.remove(ref);
    this.#expiring--;
  }

  /** Counts what a record takes in the log, or with -1 no longer. */
  countLive(ref: number, sign: 1 | -1): void {
    if (this.#log !== NO_LOG) this.liveBytes.add(this.arena.place(ref), sign * this.#logBytes(ref));
  }

  /** Moves a record to where there is room, with its value unless it is to be cold. Throws MemoryFullError. */
  move(ref: number, options?: { isCold: boolean }): number {
    const { arena } = this;
    const hash = hashOf(arena.key(ref));
    const moved = arena.copy(ref, options);
    this.#replace(ref, moved, hash);
    arena.freeCopied(ref, moved);
    return moved;
  }

  /** Removes a record, which the turn has not changed, for good. */
  remove(ref: number): void {
    this.index.remove(hashOf(this.arena.key(ref)), ref);
    this.unlink(ref);
    this.arena.free(ref);
  }

  /** Gives a cold record its value, which was read from the log, and returns the record. Throws MemoryFullError. */
  warm(ref: number, value: Text): number {
    const { arena } = this;
    const key = arena.key(ref);
    const warmed = arena.add(key, value, arena.fields(ref));
    this.#replace(ref, warmed, hashOf(key));
    arena.free(ref);
    return warmed;
  }

  /** Throws an error where index, orders and counts do not agree with the records, but for those that leave. */
  check(leaving: ReadonlySet<number>): void {
    const { arena } = this;
    arena.check();
    const live = new LiveBytes(this.#log);
    let [count, expiring, listed] = [0, 0, 0];
    for (const ref of arena.records()) {
      if (leaving.has(ref)) continue;
      const key = arena.key(ref);
      if (this.find(key, hashOf(key)) !== ref) throw new Error(`No index entry leads to ${key}`);
      count++;
      if (arena.isListed(ref)) listed++;
      if (arena.expiresAt(ref) !== 0) expiring++;
      live.add(arena.place(ref), this.#logBytes(ref));
    }
    if (count !== this.index.size) throw new Error("The index has entries without a record");
    if (expiring !== this.#expiring) throw new Error("The number of expiring records is wrong");
    this.byKey.check(listed);
    if (this.#lister === undefined && listed !== count) throw new Error("Some keys are not listed");
    this.byExpiry.check(expiring);
    live.check(this.liveBytes);
  }

  #logBytes(ref: number): number {
    const { arena } = this;
    const { recordBytes } = this.#log;
    return recordBytes(arena.keyLength(ref), arena.valueLength(ref), arena.expiresAt(ref));
  }

  #replace(from: number, to: number, hash: number): void {
    this.index.replace(hash, { from, to });
    if (this.arena.isListed(from)) {
      this.byKey.replace(from, to);
      this.arena.setListed(to, true);
    } else {
      this.list(to);
    }
    if (this.arena.expiresAt(from) === 0) return;
    this.byExpiry.remove(from);
    this.byExpiry.add(to);
  }
}
