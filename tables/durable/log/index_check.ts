/**
 * Holds the index of a segment to its records, and where these are damaged, asks it what they were.
 *
 * @module
 */

import type { Change } from "../../change.ts";
import { compareTexts } from "../../text.ts";
import type { PositionedFile } from "./file.ts";
import type { TurnHeader } from "./format.ts";
import type { Segment } from "./segment.ts";
import { entriesOf, type IndexEntry, readIndex, type SegmentIndex } from "./segment_index.ts";

/** The check of one index. Records are passed to it in order. */
export class IndexCheck {
  readonly #index: SegmentIndex | undefined;
  readonly #entries: readonly IndexEntry[];
  #next = 0;
  #isWrong = false;

  /** Reads the index of a segment, if it has a whole one, up to the last turn where that is known. */
  constructor(file: PositionedFile, segment: Segment, sequence: number | undefined) {
    this.#index = readIndex(file, segment, sequence);
    this.#entries = this.#index === undefined ? [] : [...entriesOf(this.#index)];
  }

  /** Whether there is an index. */
  get isThere(): boolean {
    return this.#index !== undefined;
  }

  /** Takes a record, at its offset in the segment. */
  take(offset: number, { kind, key, value, version, expiresAt }: Change): void {
    const entry = this.#entries[this.#next++];
    const isSame = entry?.offset === offset && entry.kind === kind && entry.version === version &&
      entry.expiresAt === expiresAt && entry.valueLength === value.length &&
      compareTexts(entry.key, key) === 0;
    if (!isSame) this.#isWrong = true;
  }

  /** The records that were between two offsets; undefined if nobody knows. */
  within(offset: number, end: number): readonly IndexEntry[] | undefined {
    if (this.#index === undefined) return undefined;
    return this.#entries.filter((entry) => entry.offset >= offset && entry.offset < end);
  }

  /** Whether it agrees with all records, and with the last turn of the segment. */
  agreesWith(last: TurnHeader): boolean {
    if (this.#index === undefined) return true;
    const { end, sequence, version } = this.#index;
    return !this.#isWrong && this.#next === this.#entries.length &&
      end === last.offset + last.length && sequence === last.sequence && version === last.version;
  }
}
