/**
 * The log, which makes `200 OK` true: it takes a turn as one record, written and synced once, in a file that
 * was preallocated. It alternates between two segments, and reuses one when the rows hold all that it held.
 *
 * @module
 */

import { TurnBuffer } from "../turn_buffer.ts";
import { type Change, type NumberedChange, sizeOfChange, writeChange } from "./change.ts";
import { tableError } from "./errors.ts";
import { RECORD_HEADER_BYTES, sealRecord } from "./log_record.ts";
import { LogReplay, type ReplayedChange } from "./log_replay.ts";
import { type LogSegment, openSegment, type Parity } from "./log_segment.ts";
import { SealedReader } from "./sealed_reader.ts";

/** The size of a segment, which bounds what a start has to replay. */
export const SEGMENT_BYTES = 16_777_216;

/** How to open a log. */
export interface LogOptions {
  /** The number of the last change in the rows. */
  readonly flushed: number;
  /** The turn of that change. */
  readonly turn: number;
  /** Tells this table's records from those of other tables; not 0. */
  readonly salt: number;
  /** The size of a segment in bytes; tests set it low. */
  readonly segmentBytes?: number;
}

/** The log of a folder. */
export class Log {
  readonly #segments: readonly [LogSegment, LogSegment];
  readonly #salt: number;
  #active: Parity = 0;
  /** The turn that is being gathered: room for the header, then the changes. */
  readonly #gathered = new TurnBuffer({ headBytes: RECORD_HEADER_BYTES });
  #count = 0;
  /** The last turn that was committed, and its last change. */
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

  /** Opens the log of a folder, whose files must exist unless it `isNew`. Throws OpenError. */
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

  /** The segment that takes the next turn: the active one. */
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

  /** Whether half of the room of the active segment is used. */
  get isHalfFull(): boolean {
    return this.#segments[this.#active].isHalfFull;
  }

  /** The bytes of the active segment that are used. */
  get activeBytes(): number {
    return this.#segments[this.#active].end;
  }

  /** Whether the turn has changes that wait for the commit. */
  get hasGathered(): boolean {
    return this.#count > 0;
  }

  /** The size of the turn's changes, in bytes. */
  get gatheredBytes(): number {
    return this.#gathered.length - RECORD_HEADER_BYTES;
  }

  /** The number of the turn's changes. */
  get gatheredCount(): number {
    return this.#count;
  }

  /** The number that the next change gets. */
  get nextNumber(): number {
    return this.#lastChange + this.#count + 1;
  }

  /** Adds a change to the turn. */
  add(change: Change): void {
    const at = this.#gathered.claim(sizeOfChange(change));
    writeChange(change, this.#gathered.memory, at);
    this.#count++;
  }

  /** Drops the turn's last changes: this many bytes, and this many changes, stay. */
  undo({ length, count }: { length: number; count: number }): void {
    this.#gathered.truncate(RECORD_HEADER_BYTES + length);
    this.#count = count;
  }

  /** Makes the turn durable. Throws TableError, and then still holds the turn. */
  commit(): void {
    const [turn, firstChange] = [this.#turn + 1, this.#lastChange + 1];
    const lastChange = this.#lastChange + this.#count;
    const { memory } = this.#gathered;
    const length = sealRecord(memory, {
      length: this.#gathered.length,
      turn,
      firstChange,
      count: this.#count,
      salt: this.#salt,
    });
    try {
      this.#segments[this.#active].append(memory.bytes.subarray(0, length), lastChange);
    } catch (error) {
      throw tableError(error);
    }
    this.dropGathered();
    this.#turn = turn;
    this.#lastChange = lastChange;
    this.#alternate();
  }

  /** Drops the turn. */
  dropGathered(): void {
    this.#gathered.clear();
    this.#count = 0;
  }

  /** The other segment, and its last change, while the rows lack some of its changes; otherwise undefined. */
  sealed(): { parity: Parity; lastChange: number } | undefined {
    const parity = (1 - this.#active) as Parity;
    const { lastChange } = this.#segments[parity];
    return lastChange === 0 ? undefined : { parity, lastChange };
  }

  /** Reads the next change of the sealed segment whose number is above `flushed`. */
  nextSealed(flushed: number): NumberedChange | undefined {
    this.#reader ??= new SealedReader(this.#segments[1 - this.#active]!, this.#salt);
    return this.#reader.next(flushed);
  }

  /** Lets `nextSealed` begin at the segment's start again. */
  rewindSealed(): void {
    this.#reader = undefined;
  }

  /** Lets the sealed segment be reused. The rows must hold all of it durably. */
  releaseSealed(): void {
    this.#segments[1 - this.#active]!.lastChange = 0;
    this.rewindSealed();
    this.#alternate();
  }

  /** Yields every change that the rows lack, in order. Throws OpenError if the log is damaged. */
  *replay(): Generator<ReplayedChange> {
    const [flushed, turn, salt] = [this.#lastChange, this.#turn, this.#salt];
    const end = yield* new LogReplay(this.#segments, { flushed, turn, salt }).run();
    this.#lastChange = end.lastChange;
    this.#turn = end.turn;
    this.#active = end.active;
  }

  /** Prepares for the first turn, after the replay has found nothing wrong. Throws OpenError. */
  prepare(): void {
    for (const segment of this.#segments) segment.prepare();
  }

  /** Closes its files. */
  close(): void {
    for (const segment of this.#segments) segment.close();
  }

  /** Switches to the other segment if this one is full and that one is free. Never within a turn. */
  #alternate(): void {
    if (!this.#segments[this.#active].isFull || this.sealed() !== undefined) return;
    this.#active = (1 - this.#active) as Parity;
    this.#segments[this.#active].restart();
    this.rewindSealed();
  }
}

/** A salt for the log of a new table: random, and never 0. */
export function newSalt(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! || 1;
}

/** The path of a segment's file. */
export function segmentPath(folder: string, parity: Parity): string {
  return `${folder}/keyline.log.${parity}`;
}
