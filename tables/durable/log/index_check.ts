/**
 * Compares the index of a segment with its records, and where these are damaged, says what they were.
 *
 * @module
 */

import type { Change } from "../../change.ts";
import { compareTexts } from "../../text.ts";
import type { PositionedFile } from "./file.ts";
import type { Segment } from "./segment.ts";
import { type IndexEntry, readIndex } from "./segment_index.ts";

/** The check of one index. Records are passed to it in order. */
export class IndexCheck {
  readonly #entries: readonly IndexEntry[] | undefined;
  #next = 0;
  #isWrong = false;

  /** Reads the index of a segment from the one that follows, if that has a whole one. */
  constructor(file: PositionedFile, next: Segment | undefined) {
    this.#entries = next && readIndex(file, next);
  }

  /** Whether there is an index. */
  get isThere(): boolean {
    return this.#entries !== undefined;
  }

  /** Takes a record, at its offset in the segment. */
  take(offset: number, { kind, key, value, version, expiresAt }: Change): void {
    const entry = this.#entries?.[this.#next++];
    const isSame = entry?.offset === offset && entry.kind === kind && entry.version === version &&
      entry.expiresAt === expiresAt && entry.valueLength === value.length &&
      compareTexts(entry.key, key) === 0;
    if (!isSame) this.#isWrong = true;
  }

  /** The records that were between two offsets; undefined if unknown. */
  within(offset: number, end: number): readonly IndexEntry[] | undefined {
    return this.#entries?.filter((entry) => entry.offset >= offset && entry.offset < end);
  }

  /** Whether it agrees with all records of the segment. */
  get isRight(): boolean {
    return this.#entries === undefined || !this.#isWrong && this.#next === this.#entries.length;
  }
}
