/**
 * The contents of a flat store. CLEAR replaces them as a whole.
 *
 * @module
 */

import type { Text } from "../text.ts";
import { Arena } from "./arena.ts";
import { DIRTY, dirtyFlag, FLAG, NO_REF } from "./record.ts";
import { firstPair, HashIndex } from "./hash_index.ts";
import { ExpiryOrder, type ExpiryPlace, KeyOrder, REF_ORDER } from "./orders.ts";
import { SortedRefs } from "./sorted_refs.ts";

/** A store does not list the key of a record with one of these flags. */
export const UNLISTED: number = FLAG.TOMBSTONE | FLAG.IN_ROWS;

/** A record with exactly these flags of the mask is the same as its row, which keeps track of its expiry. */
const CLEAN_MASK = FLAG.IN_ROWS | DIRTY;
const CLEAN = FLAG.IN_ROWS;

/** Whether a store lists the key of a record with these flags. */
export function isListed(flags: number): boolean {
  return (flags & UNLISTED) === 0;
}

/** Whether a store keeps track of when a record expires. */
export function isExpiring(flags: number, expiresAt: number): boolean {
  return expiresAt !== 0 && (flags & FLAG.TOMBSTONE) === 0 && (flags & CLEAN_MASK) !== CLEAN;
}

/** Records, with their index, their orders and their counts. */
export class Contents {
  /** The records. */
  readonly arena: Arena = new Arena();
  /** Finds the record of a key. */
  readonly index: HashIndex = new HashIndex();
  /** The live records without a row, by key. */
  readonly byKey: SortedRefs<Text> = new SortedRefs(new KeyOrder(this.arena));
  /** The live records that expire and differ from their row, or have none, by expiry. */
  readonly byExpiry: SortedRefs<ExpiryPlace> = new SortedRefs(new ExpiryOrder(this.arena));
  /** The tombstones that hide a row. */
  readonly hiding: SortedRefs<number> = new SortedRefs(REF_ORDER);
  /** How many records are not tombstones. */
  liveCount = 0;
  /** How many records are dirty, for each segment of the log that may hold their newest change. */
  readonly dirtyCounts: [number, number] = [0, 0];
  /** How many records have a row. */
  inRowsCount = 0;

  /** The memory that the records and their index take, in bytes. */
  get bytes(): number {
    return this.arena.bytes + this.index.bytes;
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

  /** Adds a record to the orders and counts that it belongs to. */
  link(ref: number): void {
    const { arena, byKey, byExpiry } = this;
    const flags = arena.flags(ref);
    this.count(flags, 1);
    if ((flags & UNLISTED) === UNLISTED) this.hiding.add(ref);
    if (isListed(flags)) byKey.add(ref);
    if (isExpiring(flags, arena.expiresAt(ref))) byExpiry.add(ref);
  }

  /** Removes a record from them, before it changes or goes. */
  unlink(ref: number): void {
    const { arena, byKey, byExpiry } = this;
    const flags = arena.flags(ref);
    this.count(flags, -1);
    if ((flags & UNLISTED) === UNLISTED) this.hiding.remove(ref);
    if (isListed(flags)) byKey.remove(ref);
    if (isExpiring(flags, arena.expiresAt(ref))) byExpiry.remove(ref);
  }

  /**
   * The records whose newest change is in this segment of the log, found by a look at all records; undefined
   * if they take more than so many bytes.
   */
  dirtyRefs(parity: 0 | 1, bytesMax: number): readonly number[] | undefined {
    const refs: number[] = [];
    let bytes = 0;
    for (const ref of this.arena.records()) {
      if ((this.arena.flags(ref) & dirtyFlag(parity)) === 0) continue;
      bytes += this.arena.usedBytes(ref);
      if (bytes > bytesMax) return undefined;
      refs.push(ref);
    }
    return refs;
  }

  /** Counts a record whose flags have changed. */
  recount(before: number, after: number): void {
    if (before === after) return;
    this.count(before, -1);
    this.count(after, 1);
  }

  /** Adds a record with these flags to the counts, or removes it. */
  count(flags: number, by: 1 | -1): void {
    if ((flags & FLAG.TOMBSTONE) === 0) this.liveCount += by;
    if ((flags & FLAG.DIRTY_0) !== 0) this.dirtyCounts[0] += by;
    if ((flags & FLAG.DIRTY_1) !== 0) this.dirtyCounts[1] += by;
    if ((flags & FLAG.IN_ROWS) !== 0) this.inRowsCount += by;
  }
}
