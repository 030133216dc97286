/**
 * Reads the changes of a sealed segment back, in their order, a block of the file at a time.
 *
 * @module
 */

import { Memory } from "../text.ts";
import { type NumberedChange, readChange, sizeOfChange } from "./change.ts";
import { tableError } from "./errors.ts";
import { lengthAt, type LogRecord, RECORD_HEADER_BYTES, recordAt } from "./log_record.ts";
import type { LogSegment } from "./log_segment.ts";

/** How much is read at a time; a longer record is read whole. */
const BLOCK_BYTES = 262_144;

/** A place in a sealed segment. */
export class SealedReader {
  readonly #segment: LogSegment;
  readonly #salt: number;
  #block = new Memory(0);
  /** Where in the segment the block starts, and where the next record does. */
  #blockStart = 0;
  #nextRecord = 0;
  /** The record that is being read, the next change in it, and where in the block that is. */
  #record: LogRecord | undefined;
  #number = 0;
  #at = 0;

  /** The start of a segment. */
  constructor(segment: LogSegment, salt: number) {
    this.#segment = segment;
    this.#salt = salt;
  }

  /** The next change with a number after this one; undefined after the last. Throws TableError. */
  next(after: number): NumberedChange | undefined {
    for (;;) {
      if (this.#record === undefined || this.#number > this.#record.lastChange) {
        if (this.#nextRecord >= this.#segment.end) return undefined;
        this.#readRecord();
        if (this.#record!.lastChange <= after) {
          this.#record = undefined;
          continue;
        }
      }
      const change = readChange(this.#block, this.#at);
      const number = this.#number++;
      this.#at += sizeOfChange(change);
      if (number > after) return { ...change, number };
    }
  }

  #readRecord(): void {
    this.#ensure(RECORD_HEADER_BYTES);
    this.#ensure(lengthAt(this.#block, this.#nextRecord - this.#blockStart));
    const offset = this.#nextRecord - this.#blockStart;
    const record = recordAt(this.#block, { offset, salt: this.#salt });
    if (record === undefined) {
      throw tableError(new Error(`${this.#segment.path} has changed at byte ${this.#nextRecord}`));
    }
    this.#record = record;
    this.#number = record.firstChange;
    this.#at = offset + RECORD_HEADER_BYTES;
    this.#nextRecord += record.length;
  }

  /** Makes sure that the block has so many bytes from the next record on. */
  #ensure(bytes: number): void {
    const has = this.#blockStart + this.#block.bytes.length - this.#nextRecord;
    if (has >= bytes) return;
    const length = Math.min(Math.max(bytes, BLOCK_BYTES), this.#segment.end - this.#nextRecord);
    try {
      this.#block = this.#segment.read(this.#nextRecord, length);
    } catch (error) {
      throw tableError(error);
    }
    this.#blockStart = this.#nextRecord;
  }
}
