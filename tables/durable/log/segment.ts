/**
 * One segment of the log: which slots it has, and how far it is filled.
 *
 * @module
 */

import { seedOf, type SegmentHeader } from "./format.ts";
import { IndexBuilder } from "./segment_index.ts";

/** A segment. */
export class Segment {
  /** What its header says. */
  readonly header: SegmentHeader;
  /** Its first slot. */
  readonly slot: number;
  /** The seed of its checksums. */
  readonly seed: number;
  /** Where the next turn goes, in bytes from its start. */
  end: number;
  /** What its index is made of, while it is filled. */
  readonly index: IndexBuilder;
  /** How many bytes its first turn takes for the index of the segment before, until that is written. */
  reserved = 0;

  /** A segment that is filled up to `end`. */
  constructor(header: SegmentHeader, slot: number, end: number) {
    this.header = header;
    this.slot = slot;
    this.seed = seedOf(header);
    this.end = end;
    this.index = new IndexBuilder(header.slotBytes);
  }

  /** Its number. */
  get number(): number {
    return this.header.number;
  }

  /** How many slots it has. */
  get slots(): number {
    return this.header.slots;
  }

  /** Where it starts in the file, in bytes. */
  get start(): number {
    return this.slot * this.header.slotBytes;
  }

  /** Its size in the file, in bytes. */
  get size(): number {
    return this.header.slots * this.header.slotBytes;
  }
}

/** The slots that segments have. */
export function slotsOf(segments: readonly Segment[]): Set<number> {
  const taken = new Set<number>();
  for (const { slot, slots } of segments) for (let i = 0; i < slots; i++) taken.add(slot + i);
  return taken;
}
