/**
 * What a flat store holds at a time. CLEAR puts new contents in the place of the old ones.
 *
 * @module
 */

import { compareTexts, type Text } from "../text.ts";
import { Arena } from "./arena.ts";
import { FLAG, NO_REF } from "./record.ts";
import { firstPair, HashIndex } from "./hash_index.ts";
import { SortedRefs } from "./sorted_refs.ts";

/** A record with one of these flags is not among the keys that a store lists. */
export const UNLISTED: number = FLAG.TOMBSTONE | FLAG.IN_ROWS;

/** A row says the same as a record with these flags, of those in the mask: it needs no other account. */
const CLEAN_MASK = FLAG.IN_ROWS | FLAG.DIRTY_0 | FLAG.DIRTY_1;
const CLEAN = FLAG.IN_ROWS;

/** Whether a record with these flags is among the keys that a store lists. */
export function isListed(flags: number): boolean {
  return (flags & UNLISTED) === 0;
}

/** Whether a record is among those that a store lists as they expire. */
export function isExpiring(flags: number, expiresAt: number): boolean {
  return expiresAt !== 0 && (flags & FLAG.TOMBSTONE) === 0 && (flags & CLEAN_MASK) !== CLEAN;
}

/** Records, and what finds, orders and counts them. */
export class Contents {
  /** The records. */
  readonly arena: Arena = new Arena();
  /** Where each key's record is. */
  readonly index: HashIndex = new HashIndex();
  /** The live records that are in no row, by their keys. */
  readonly byKey: SortedRefs = new SortedRefs((a, b) =>
    a === b ? 0 : compareTexts(this.arena.key(a), this.arena.key(b))
  );
  /** The live records that expire and are not the same in a row, by when they do. */
  readonly byExpiry: SortedRefs = new SortedRefs((a, b) =>
    this.arena.expiresAt(a) - this.arena.expiresAt(b) || a - b
  );
  /** The tombstones that hide a row, in no order that matters. */
  readonly hiding: SortedRefs = new SortedRefs((a, b) => a - b);
  /** How many records are no tombstones. */
  liveCount = 0;
  /** How many records are dirty, by the segment of the log that has their newest change. */
  readonly dirtyCounts: [number, number] = [0, 0];

  /** How much memory the records and their index take, in bytes. */
  get bytes(): number {
    return this.arena.bytes + this.index.bytes;
  }

  /** The record of a key with this hash; NO_REF without one. */
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

  /** Takes a record up in the orders and counts that it belongs to. */
  link(ref: number): void {
    const { arena, byKey, byExpiry } = this;
    const flags = arena.flags(ref);
    this.count(flags, 1);
    if ((flags & UNLISTED) === UNLISTED) this.hiding.add(ref);
    if (isListed(flags)) byKey.add(ref);
    if (isExpiring(flags, arena.expiresAt(ref))) byExpiry.add(ref);
  }

  /** Takes a record out of them, before it changes or goes. */
  unlink(ref: number): void {
    const { arena, byKey, byExpiry } = this;
    const flags = arena.flags(ref);
    this.count(flags, -1);
    if ((flags & UNLISTED) === UNLISTED) this.hiding.remove(ref);
    if (isListed(flags)) byKey.remove(ref);
    if (isExpiring(flags, arena.expiresAt(ref))) byExpiry.remove(ref);
  }

  /** Counts a record with these flags, or counts it no more. */
  count(flags: number, by: 1 | -1): void {
    if ((flags & FLAG.TOMBSTONE) === 0) this.liveCount += by;
    if ((flags & FLAG.DIRTY_0) !== 0) this.dirtyCounts[0] += by;
    if ((flags & FLAG.DIRTY_1) !== 0) this.dirtyCounts[1] += by;
  }
}
