/**
 * The log: what `200 OK` rests on. A turn is one record, written and synced once, in a file that has the
 * room already. Two segments are used in turns; one is used again when the rows hold all that it held.
 *
 * @module
 */

import { Memory } from "../text.ts";
import { type Change, type NumberedChange, sizeOfChange, writeChange } from "./change.ts";
import { tableError } from "./errors.ts";
import { RECORD_HEADER_BYTES, sealRecord } from "./log_record.ts";
import { LogReplay, type ReplayedChange } from "./log_replay.ts";
import { type LogSegment, openSegment, type Parity } from "./log_segment.ts";
import { SealedReader } from "./sealed_reader.ts";

/** How large a segment is: it bounds what a start has to replay. */
export const SEGMENT_BYTES = 16_777_216;
/** The room for a turn's changes; a turn that needed more gives it back. */
const TURN_BYTES_MIN = 65_536;

/** How to open a log. */
export interface LogOptions {
  /** The number of the last change that the rows hold. */
  readonly flushed: number;
  /** The turn of that change. */
  readonly turn: number;
  /** Tells this table's records from those of others; not 0. */
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

  /** Opens the log of a folder; makes its files where `isNew`, and misses them otherwise. Throws OpenError. */
  static open(folder: string, { isNew, ...options }: LogOptions & { isNew: boolean }): Log {
    const roomBytes = options.segmentBytes ?? SEGMENT_BYTES;
    const first = openSegment(segmentPath(folder, 0), { roomBytes, isNew });
    try {
      const second = openSegment(segmentPath(folder, 1), { roomBytes, isNew });
      return new Log([first, second], options);
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

  /** Gives every change that the rows lack, in order. Throws OpenError where the log is damaged. */
  *replay(): Generator<ReplayedChange> {
    const [flushed, turn, salt] = [this.#lastChange, this.#turn, this.#salt];
    const end = yield* new LogReplay(this.#segments, { flushed, turn, salt }).run();
    this.#lastChange = end.lastChange;
    this.#turn = end.turn;
    this.#active = end.active;
  }

  /** Makes the log ready for turns, once it is replayed and nothing is wrong with it. Throws OpenError. */
  prepare(): void {
    for (const segment of this.#segments) segment.prepare();
  }

  /** Closes its files. */
  close(): void {
    for (const segment of this.#segments) segment.close();
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

/** A number that tells the log of a table from those of others: never 0. */
export function newSalt(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! || 1;
}

/** The file of a segment. */
export function segmentPath(folder: string, parity: Parity): string {
  return `${folder}/keyline.log.${parity}`;
}
