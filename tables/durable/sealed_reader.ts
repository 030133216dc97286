/**
 * Reads the changes of a sealed segment in order, a block of the file at a time.
 *
 * @module
 */

import { Memory } from "../text.ts";
import { type NumberedChange, readChange, sizeOfChange } from "./change.ts";
import { tableError } from "./errors.ts";
import { lengthAt, type LogRecord, RECORD_HEADER_BYTES, recordAt } from "./log_record.ts";
import type { LogSegment } from "./log_segment.ts";

/** The size of a block; it grows for a record that is longer. */
const BLOCK_BYTES = 262_144;

/** A cursor in a sealed segment. */
export class SealedReader {
  readonly #segment: LogSegment;
  readonly #salt: number;
  #block = new Memory(0);
  /** The offsets of the block and of the next record in the segment. */
  #blockStart = 0;
  #nextRecord = 0;
  /** The record that is being read, the number of its next change, and the offset of that in the block. */
  #record: LogRecord | undefined;
  #number = 0;
  #at = 0;

  /** Starts at the beginning of a segment. */
  constructor(segment: LogSegment, salt: number) {
    this.#segment = segment;
    this.#salt = salt;
  }

  /** Reads the next change whose number is above this one; undefined after the last. Throws TableError. */
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

  /** Makes sure that the block holds this many bytes of the next record. */
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
