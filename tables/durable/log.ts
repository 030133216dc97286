/**
 * The log: what `200 OK` rests on. A turn is one record, written and synced once, in a file that has the
 * room already. Two segments are used in turns; one is used again when the rows hold all that it held.
 *
 * @module
 */

import { Memory } from "../text.ts";
import {
  type Change,
  type NumberedChange,
  readChange,
  sizeOfChange,
  writeChange,
} from "./change.ts";
import { OpenError, tableError } from "./errors.ts";
import { type LogRecord, RECORD_HEADER_BYTES, sealRecord } from "./log_record.ts";
import { SealedReader } from "./sealed_reader.ts";
import { chainOf, type LogSegment, openSegment, recordAfterChange } from "./log_segment.ts";

/** How large a segment is: it bounds what a start has to replay. */
export const SEGMENT_BYTES = 16_777_216;
/** The room for a turn's changes; a turn that needed more gives it back. */
const TURN_BYTES_MIN = 65_536;

/** Which of the two segments. */
export type Parity = 0 | 1;

/** How to open a log. */
export interface LogOptions {
  /** The number of the last change that the rows hold. */
  readonly flushed: number;
  /** The turn of that change. */
  readonly turn: number;
  /** Tells this table's records from those of others. */
  readonly salt: number;
  /** How large a segment is; tests set it low. */
  readonly segmentBytes?: number;
}

/** The log of a folder. */
export class Log {
  readonly #segments: readonly [LogSegment, LogSegment];
  readonly #salt: number;
  #active: Parity = 0;
  /** The turn that is being gathered: room for the header, then its changes. */
  #gathered = new Memory(TURN_BYTES_MIN);
  #length = RECORD_HEADER_BYTES;
  #count = 0;
  /** Those of the last turn that was committed. */
  #turn: number;
  #lastChange: number;
  /** Reads the sealed segment back. */
  #reader: SealedReader | undefined;

  /** Takes open segments; `replay` and `prepare` must follow. */
  constructor(segments: readonly [LogSegment, LogSegment], { flushed, turn, salt }: LogOptions) {
    this.#segments = segments;
    this.#salt = salt;
    this.#turn = turn;
    this.#lastChange = flushed;
  }

  /** Opens the log of a folder, or makes one. Throws OpenError. */
  static open(folder: string, options: LogOptions): Log {
    const bytes = options.segmentBytes ?? SEGMENT_BYTES;
    const first = openSegment(segmentPath(folder, 0), bytes);
    try {
      return new Log([first, openSegment(segmentPath(folder, 1), bytes)], options);
    } catch (error) {
      first.close();
      throw error;
    }
  }

  /** The segment that takes the next turn. */
  get active(): Parity {
    return this.#active;
  }

  /** The number of the last change that was committed. */
  get lastChange(): number {
    return this.#lastChange;
  }

  /** The last turn that was committed. */
  get turn(): number {
    return this.#turn;
  }

  /** Whether the segment that takes the next turn has half of its room used up. */
  get isHalfFull(): boolean {
    return this.#segments[this.#active].isHalfFull;
  }

  /** How full the segment that takes the next turn is, in bytes. */
  get activeBytes(): number {
    return this.#segments[this.#active].end;
  }

  /** Whether changes of the turn wait for the commit. */
  get hasGathered(): boolean {
    return this.#count > 0;
  }

  /** How many bytes the turn has gathered. */
  get gatheredBytes(): number {
    return this.#length - RECORD_HEADER_BYTES;
  }

  /** How many changes the turn has gathered. */
  get gatheredCount(): number {
    return this.#count;
  }

  /** The number of the change that is added next. */
  get nextNumber(): number {
    return this.#lastChange + this.#count + 1;
  }

  /** Adds a change to the turn. */
  add(change: Change): void {
    const size = sizeOfChange(change);
    if (this.#length + size > this.#gathered.bytes.length - RECORD_HEADER_BYTES) this.#grow(size);
    writeChange(change, this.#gathered, this.#length);
    this.#length += size;
    this.#count++;
  }

  /** Takes changes of the turn back: so many bytes, and so many changes, stay. */
  undo({ length, count }: { length: number; count: number }): void {
    this.#length = RECORD_HEADER_BYTES + length;
    this.#count = count;
  }

  /** Makes the turn durable. Throws TableError, and holds the turn still then. */
  commit(): void {
    const [turn, firstChange] = [this.#turn + 1, this.#lastChange + 1];
    const lastChange = this.#lastChange + this.#count;
    const length = sealRecord(this.#gathered, {
      length: this.#length,
      turn,
      firstChange,
      count: this.#count,
      salt: this.#salt,
    });
    try {
      this.#segments[this.#active].append(this.#gathered.bytes.subarray(0, length), lastChange);
    } catch (error) {
      throw tableError(error);
    }
    this.dropGathered();
    this.#turn = turn;
    this.#lastChange = lastChange;
    this.#takeTurns();
  }

  /** Forgets the turn. */
  dropGathered(): void {
    this.#length = RECORD_HEADER_BYTES;
    this.#count = 0;
    if (this.#gathered.bytes.length > TURN_BYTES_MIN) this.#gathered = new Memory(TURN_BYTES_MIN);
  }

  /** The other segment, and the last change in it, while rows lack some of it; else undefined. */
  sealed(): { parity: Parity; lastChange: number } | undefined {
    const parity = (1 - this.#active) as Parity;
    const { lastChange } = this.#segments[parity];
    return lastChange === 0 ? undefined : { parity, lastChange };
  }

  /** The next change of the sealed segment that has not been read back, after `flushed`. */
  nextSealed(flushed: number): NumberedChange | undefined {
    this.#reader ??= new SealedReader(this.#segments[1 - this.#active]!, this.#salt);
    return this.#reader.next(flushed);
  }

  /** Reads the sealed segment back from its start again. */
  rewindSealed(): void {
    this.#reader = undefined;
  }

  /** Lets the sealed segment be used again: the rows hold all of it durably. */
  releaseSealed(): void {
    this.#segments[1 - this.#active]!.lastChange = 0;
    this.rewindSealed();
    this.#takeTurns();
  }

  /**
   * Gives every change that the rows lack, in order. Throws OpenError where records are missing or damaged
   * that were whole once; what a crash tore off at the end was never acknowledged, and is passed over.
   */
  *replay(): Generator<NumberedChange & { parity: Parity }> {
    const flushed = this.#lastChange;
    const memories = this.#segments.map((segment) => segment.readAll()) as [Memory, Memory];
    const chains = memories.map((memory) => chainOf(memory, this.#salt));
    const order: Parity[] = (chains[0]![0]?.turn ?? 0) <= (chains[1]![0]?.turn ?? 0)
      ? [0, 1]
      : [1, 0];
    // What comes before the first record of a file is at the end of the other file's.
    let before = { parity: order[0]!, offset: 0 };
    for (const parity of order) {
      const chain = chains[parity]!.filter(({ lastChange }) => lastChange > flushed);
      for (const record of chain) {
        this.#checkFollows(record, { before, flushed });
        yield* this.#changesOf(memories[parity], { record, parity, after: flushed });
        this.#turn = record.turn;
        this.#lastChange = record.lastChange;
      }
      this.#resume(parity, chains[parity]!, flushed);
      before = { parity, offset: endOf(chains[parity]!) };
    }
    for (const parity of order) {
      this.#checkRest(memories[parity], { parity, end: endOf(chains[parity]!) });
    }
  }

  /** Makes the log ready for turns, once it is replayed and nothing is wrong with it. Throws OpenError. */
  prepare(): void {
    for (const segment of this.#segments) segment.prepare();
  }

  /** Closes its files. */
  close(): void {
    for (const segment of this.#segments) segment.close();
  }

  #checkFollows(
    record: LogRecord,
    { before, flushed }: { before: { parity: Parity; offset: number }; flushed: number },
  ): void {
    const isFirst = this.#lastChange === flushed;
    const follows = isFirst
      ? record.firstChange <= flushed + 1
      : record.firstChange === this.#lastChange + 1 && record.turn === this.#turn + 1;
    if (!follows) {
      const { parity, offset } = before;
      this.#damaged(parity, offset, `the changes before ${record.firstChange} are missing`);
    }
  }

  /** A record with newer changes after the end of the chain: the one before it was whole once. */
  #checkRest(memory: Memory, { parity, end }: { parity: Parity; end: number }): void {
    const after = this.#lastChange;
    const found = recordAfterChange(memory, { offset: end, salt: this.#salt, after });
    if (found !== undefined) {
      const why = `a record can't be read, but one after it can, at byte ${found.offset}`;
      this.#damaged(parity, end, why);
    }
  }

  #damaged(parity: Parity, offset: number, why: string): never {
    throw new OpenError(
      `Cannot open ${
        this.#segments[parity].path
      }: it is damaged at byte ${offset}: ${why}. It was ` +
        "left as it is: restore a backup, or choose another folder with --data.",
    );
  }

  *#changesOf(
    memory: Memory,
    { record, parity, after }: { record: LogRecord; parity: Parity; after: number },
  ): Generator<NumberedChange & { parity: Parity }> {
    let at = record.offset + RECORD_HEADER_BYTES;
    for (let number = record.firstChange; number <= record.lastChange; number++) {
      const change = readChange(memory, at);
      at += sizeOfChange(change);
      if (number > after) yield { ...change, number, parity };
    }
  }

  /** Goes on where a segment's chain ends, or leaves it to be used again. */
  #resume(parity: Parity, chain: readonly LogRecord[], flushed: number): void {
    const last = chain.at(-1);
    if (last === undefined || last.lastChange <= flushed) return;
    const segment = this.#segments[parity];
    segment.end = endOf(chain);
    segment.lastChange = last.lastChange;
    segment.lastFound = last;
    this.#active = parity;
  }

  /** Goes over to the other segment where this one is full and that one is free: between turns alone. */
  #takeTurns(): void {
    if (!this.#segments[this.#active].isFull || this.sealed() !== undefined) return;
    this.#active = (1 - this.#active) as Parity;
    this.#segments[this.#active].restart();
    this.rewindSealed();
  }

  #grow(bytes: number): void {
    const size = Math.max(2 * this.#gathered.bytes.length, this.#length + bytes + TURN_BYTES_MIN);
    const grown = new Memory(size);
    grown.bytes.set(this.#gathered.bytes.subarray(0, this.#length));
    this.#gathered = grown;
  }
}

/** The file of a segment. */
export function segmentPath(folder: string, parity: Parity): string {
  return `${folder}/keyline.log.${parity}`;
}

function endOf(chain: readonly LogRecord[]): number {
  const last = chain.at(-1);
  return last === undefined ? 0 : last.offset + last.length;
}
