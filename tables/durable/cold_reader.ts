/**
 * Reads values that are not in memory from the log. No byte is trusted without its checksum: a record that is
 * damaged, or not the one that memory expects, is an error for its key, never a value.
 *
 * A read from the system's page cache is done synchronously, in a few microseconds. While reads turn out to
 * wait for the disk, those known ahead are begun together, and hold up no other client.
 *
 * @module
 */

import { type Change, readChange } from "../change.ts";
import { NO_REF } from "../memtable/arena.ts";
import type { Memtable } from "../memtable/memtable.ts";
import type { Report } from "../report.ts";
import { TableError } from "../table.ts";
import { compareTexts, Memory, Text } from "../text.ts";
import { changeIn, isWholeRecord, recordBytes, recordBytesAt } from "./log/format.ts";
import type { Log } from "./log/log.ts";

/** What a reader works with. */
export interface ColdReaderParts {
  /** Has the records. */
  readonly log: Log;
  /** Knows their places, and takes the values. */
  readonly memtable: Memtable;
  /** Receives reports of damage. */
  readonly report: Report;
}

/**
 * Reads that take longer than this on average wait for the disk, in milliseconds. No read counts for more than
 * twice that, so that one from the page cache that was interrupted does not decide alone.
 */
const SLOW_MS = 0.02;
/** Of about how many reads that is the average. */
const AVERAGED_READS = 8;
/** One read in so many is not begun ahead, to see whether reads still wait for the disk. */
const READS_A_PROBE = 1_024;
/** For how many bytes reads ahead may be under way, where each counts for at least so many. */
const READING_BYTES_MAX = 16 << 20;
const READ_BYTES_MIN = 4_096;
/** How many damaged places are logged one by one: a dying disk may have one for each value. */
const DAMAGE_REPORTS_MAX = 100;

/** Reads the values of cold records. */
export class ColdReader {
  readonly #parts: ColdReaderParts;
  /** The reads that are under way, by place. */
  readonly #reads = new Map<number, Promise<void>>();
  /** For how many bytes they are. */
  #readingBytes = 0;
  /** How long a synchronous read takes on average. */
  #averageMs = 0;
  /** How many reads were begun ahead or left for a probe. */
  #aheadCount = 0;
  /** The places of damage that were reported. */
  readonly #damaged = new Set<number>();
  /** How many values it has read. */
  count = 0;

  /** Memory and log must belong to the same table: the memory has places in the log. */
  constructor(parts: ColdReaderParts) {
    this.#parts = parts;
  }

  /** In how many places damage was found. */
  get damagedCount(): number {
    return this.#damaged.size;
  }

  /** Reads the value of a cold record, and keeps it in memory if there is room. Throws TableError. */
  read(ref: number): Text {
    this.count++;
    const value = this.value(ref);
    this.#parts.memtable.warm(ref, value);
    return value;
  }

  /** The value of a record as the log has it. Throws TableError. */
  value(ref: number): Text {
    const { log, memtable: { records } } = this.#parts;
    const memory = new Memory(this.#sizeOf(ref));
    const place = records.place(ref);
    let length: number;
    const startedAt = performance.now();
    try {
      length = log.read(memory.bytes, place);
    } catch (cause) {
      // One unreadable sector is no reason to end the table: everything else may be readable.
      throw this.#damage(place, new TableError("the value can't be read from the disk", { cause }));
    }
    const ms = Math.min(performance.now() - startedAt, 2 * SLOW_MS);
    this.#averageMs += (ms - this.#averageMs) / AVERAGED_READS;
    const value = this.#valueIn(this.#changeIn(memory, length, place), ref);
    if (value !== undefined) return value;
    throw this.#damage(place, new TableError("the value is damaged on the disk"));
  }

  /** Whether values are being read ahead. */
  get isReading(): boolean {
    return this.#reads.size > 0;
  }

  /**
   * The read of this record that is under way. It fulfils even if it fails: whoever then asks for the value
   * meets the failure.
   */
  readOf(ref: number): Promise<void> | undefined {
    return this.#reads.get(this.#parts.memtable.records.place(ref));
  }

  /** Begins to read a cold record, if reads wait for the disk. */
  readAhead(ref: number): void {
    const place = this.#parts.memtable.records.place(ref);
    const isFull = this.#readingBytes >= READING_BYTES_MAX;
    if (this.#averageMs <= SLOW_MS || isFull || this.#reads.has(place)) return;
    if (++this.#aheadCount % READS_A_PROBE === 0) return;
    const size = this.#sizeOf(ref);
    const counted = Math.max(READ_BYTES_MIN, size);
    this.#readingBytes += counted;
    const read = this.#readLater(place, size).finally(() => {
      this.#reads.delete(place);
      this.#readingBytes -= counted;
    });
    this.#reads.set(place, read);
  }

  async #readLater(place: number, size: number): Promise<void> {
    const { log, memtable, memtable: { records } } = this.#parts;
    const memory = new Memory(size);
    try {
      const length = await log.readLater(memory.bytes, place);
      const change = this.#changeIn(memory, length, place);
      const ref = change === undefined ? NO_REF : memtable.find(change.key);
      // The key may have been changed, moved in the log or read by others meanwhile.
      if (ref === NO_REF || records.place(ref) !== place || !records.isCold(ref)) return;
      const value = this.#valueIn(change, ref);
      if (value === undefined) return;
      this.count++;
      const warmed = memtable.warm(ref, value);
      if (warmed !== NO_REF) records.setRecent(warmed, true);
    } catch {
      // The request will read it itself, and report the error.
    }
  }

  #sizeOf(ref: number): number {
    const { records } = this.#parts.memtable;
    return recordBytes(records.keyLength(ref), records.valueLength(ref), records.expiresAt(ref));
  }

  /** The change of the record at this place, in bytes that were read; undefined if it is not whole. */
  #changeIn(memory: Memory, length: number, place: number): Change | undefined {
    const segment = this.#parts.log.segmentAt(place);
    const size = memory.bytes.length;
    const isWhole = segment !== undefined && length === size &&
      recordBytesAt(memory, 0, size) === size && isWholeRecord(memory, 0, segment.seed);
    return isWhole ? readChange(memory, changeIn(0)) : undefined;
  }

  /** The value of a change; undefined if it is not what memory expects of a record. */
  #valueIn(change: Change | undefined, ref: number): Text | undefined {
    if (change === undefined) return undefined;
    const { key, value, version, expiresAt } = change;
    const { records } = this.#parts.memtable;
    const isSame = version === records.version(ref) && expiresAt === records.expiresAt(ref) &&
      value.length === records.valueLength(ref) && compareTexts(key, records.key(ref)) === 0;
    return isSame ? value : undefined;
  }

  /** Counts and reports damage, once for each place, and returns the error for the client. */
  #damage(offset: number, error: TableError): TableError {
    if (!this.#damaged.has(offset)) {
      this.#damaged.add(offset);
      this.#reportDamage(offset, error);
    }
    return error;
  }

  #reportDamage(offset: number, error: TableError): void {
    const { log: { path: file }, report } = this.#parts;
    if (this.#damaged.size > DAMAGE_REPORTS_MAX + 1) return;
    if (this.#damaged.size <= DAMAGE_REPORTS_MAX) {
      report("error", "A value is damaged", { file, offset, error: error.cause ?? error });
    } else report("error", "More values are damaged: keyline check names them all", { file });
  }
}
