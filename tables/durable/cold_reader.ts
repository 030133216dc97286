/**
 * Reads values that are not in memory from the log. No byte is trusted without its checksum: a record that is
 * damaged, or not the one that memory expects, is an error for its key, never a value.
 *
 * A read from the system's page cache is done synchronously, in a few microseconds. If reads turn out to wait
 * for the disk, those known ahead are begun together, and hold up no other client.
 *
 * @module
 */

import { readChange } from "../change.ts";
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

/** A read that takes longer than this has waited for the disk, in milliseconds. */
const SLOW_MS = 0.1;
/** After how many reads ahead to try again whether one is fast. */
const AHEAD_READS = 4_096;
/** How many reads ahead may be under way, and for how many bytes. */
const READS_MAX = 1_024;
const READING_BYTES_MAX = 16 << 20;
/** How many damaged places are logged one by one: a dying disk may have one for each value. */
const DAMAGE_REPORTS_MAX = 100;

/** Reads the values of cold records. */
export class ColdReader {
  readonly #parts: ColdReaderParts;
  /** The reads that are under way, by place. */
  readonly #reads = new Map<number, Promise<void>>();
  /** For how many bytes they are. */
  #readingBytes = 0;
  /** How many more reads to begin ahead, after one has waited for the disk. */
  #ahead = 0;
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
    if (performance.now() - startedAt > SLOW_MS) this.#ahead = AHEAD_READS;
    const value = this.#valueIn(memory, length, ref);
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
    const isFull = this.#reads.size >= READS_MAX || this.#readingBytes >= READING_BYTES_MAX;
    if (this.#ahead === 0 || isFull || this.#reads.has(place)) return;
    const size = this.#sizeOf(ref);
    this.#ahead--;
    this.#readingBytes += size;
    const read = this.#readLater(ref, place).finally(() => {
      this.#reads.delete(place);
      this.#readingBytes -= size;
    });
    this.#reads.set(place, read);
  }

  async #readLater(ref: number, place: number): Promise<void> {
    const { log, memtable } = this.#parts;
    const memory = new Memory(this.#sizeOf(ref));
    const key = Text.from(memtable.records.key(ref).toBytes().slice());
    try {
      const length = await log.readLater(memory.bytes, place);
      // The key may have been changed, moved in the log or read by others meanwhile.
      const now = memtable.find(key);
      const isSame = now !== NO_REF && memtable.records.place(now) === place &&
        memtable.records.isCold(now);
      if (!isSame) return;
      const value = this.#valueIn(memory, length, now);
      if (value === undefined) return;
      this.count++;
      const warmed = memtable.warm(now, value);
      if (warmed !== NO_REF) memtable.records.setRecent(warmed, true);
    } catch {
      // The request will read it itself, and report the error.
    }
  }

  #sizeOf(ref: number): number {
    const { records } = this.#parts.memtable;
    return recordBytes(records.keyLength(ref), records.valueLength(ref), records.expiresAt(ref));
  }

  /** The value in the bytes of a record; undefined if they are not the record that memory expects. */
  #valueIn(memory: Memory, length: number, ref: number): Text | undefined {
    const { log, memtable: { records } } = this.#parts;
    const place = records.place(ref);
    const segment = log.segmentAt(place);
    const size = memory.bytes.length;
    const isWhole = segment !== undefined && length === size &&
      recordBytesAt(memory, 0, size) === size && isWholeRecord(memory, 0, segment.seed);
    if (!isWhole) return undefined;
    const { key, value, version, expiresAt } = readChange(memory, changeIn(0));
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
