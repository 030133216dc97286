/**
 * The log, which is the table on disk. It gathers the changes of a turn, and makes them durable with one
 * write and one sync, to space allocated beforehand. If a segment has no room for a turn, the log continues
 * in the next one; segments whose records have all been replaced give their slots back.
 *
 * @module
 */

import type { Change } from "../../change.ts";
import type { ChangeLog } from "../../memory_table.ts";
import { Memory } from "../../text.ts";
import { TurnBuffer } from "../../turn_buffer.ts";
import { TableError } from "../../table.ts";
import { assertThat, isDiskFull } from "../errors.ts";
import type { Chain } from "./chain.ts";
import type { PositionedFile } from "./file.ts";
import {
  sealTurn,
  SEGMENT_HEADER_BYTES,
  sizeOfRecord,
  SLOT_BYTES,
  TURN_HEADER_BYTES,
  writeRecord,
  writeSegmentHeader,
} from "./format.ts";
import { Segment, slotsOf } from "./segment.ts";
import { Slots } from "./slots.ts";

/** How many slots are kept beside the active segment: the next one, and one in reserve for a full disk. */
const PREPARED_SLOTS = 2;
/** How much of the next slot to fill for each byte that is committed, and at least, in bytes. */
const FILL_SHARE = 2;
const FILL_BYTES_MIN = 65_536;
/** On a full disk, PUT leaves a slot to compaction, and this share of one to DELETE. */
const DELETION_SHARE = 1 / 8;
/** How many free slots are kept for each one that is used. */
const KEPT_SHARE = 1 / 8;

/** What a log is opened with. */
export interface LogOptions {
  /** Tells its segments from those of other tables; not 0. */
  readonly salt: number;
  /** The size of a slot, in bytes; tests set it low. */
  readonly slotBytes?: number;
  /** Whether no copy of the log is under way, so that released slots may be overwritten. */
  readonly mayReuse?: () => boolean;
}

/** A commit of a turn. */
export interface Commit {
  /** The last version that the table has given. */
  readonly version: number;
  /** The number of the oldest segment that is needed once this turn is durable. */
  readonly oldest: number;
}

/** The space before the gathered records, for the headers of the segment and of the turn. */
const HEAD_BYTES = SEGMENT_HEADER_BYTES + TURN_HEADER_BYTES;

/** Records of a turn that are at another place than expected. */
export interface Moved {
  /** Where they were expected, from here on, in bytes. */
  readonly from: number;
  /** Where the expected room ended. */
  readonly to: number;
  /** How far each of them has moved. */
  readonly by: number;
}

/** The log of an open table. */
export class Log implements ChangeLog {
  readonly #file: PositionedFile;
  readonly #salt: number;
  readonly #slotBytes: number;
  /** From the oldest to the active one. */
  readonly #segments: Segment[];
  readonly #slots: Slots;
  #usedSlots = 0;
  /** The segment that has each slot. */
  readonly #bySlot: (Segment | undefined)[] = [];
  /** Whether the active segment's header is still to be written, with its first turn. */
  #isFresh = false;
  /** The turn that is being gathered. */
  readonly #gathered = new TurnBuffer({ headBytes: HEAD_BYTES });
  /** The last turn that was committed. */
  #sequence: number;
  #version: number;
  /** Whether the disk had no room for the next slot. */
  isFull = false;

  /** Takes a log that was found in its file. `prepare` must follow. */
  constructor(
    file: PositionedFile,
    { segments, last }: Chain,
    { salt, slotBytes = SLOT_BYTES, mayReuse = () => true }: LogOptions,
  ) {
    this.#file = file;
    this.#salt = salt;
    this.#slotBytes = slotBytes;
    this.#segments = [...segments];
    this.#sequence = last?.header.sequence ?? 0;
    this.#version = last?.header.version ?? 0;
    for (const segment of segments) this.#use(segment);
    this.#slots = new Slots(file, { slotBytes, taken: slotsOf(segments), mayReuse });
  }

  /** Makes a log in an empty file: its first segment. Throws errors of the system. */
  static create(file: PositionedFile, { salt, slotBytes = SLOT_BYTES }: LogOptions): void {
    new Slots(file, { slotBytes, taken: new Set(), mayReuse: () => true }).grow();
    const memory = new Memory(SEGMENT_HEADER_BYTES);
    writeSegmentHeader(
      { salt, number: 1, slots: 1, slotBytes, sequence: 0, oldest: 1, index: 0 },
      memory,
    );
    file.write(memory.bytes, 0);
    file.sync();
  }

  /** The path of its file, for messages. */
  get path(): string {
    return this.#file.path;
  }

  /** The segment that takes the next turn. */
  get active(): Segment {
    return this.#segments.at(-1)!;
  }

  /** The segments, from the oldest to the active one. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** The sequence number of the last turn. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The last version that the table had given by then. */
  get version(): number {
    return this.#version;
  }

  /** The size of the file, in bytes. */
  get bytes(): number {
    return this.#slots.bytes;
  }

  /** How many slots segments have. */
  get usedSlots(): number {
    return this.#usedSlots;
  }

  /** The bytes of the turn's records. */
  get length(): number {
    return this.#gathered.length - HEAD_BYTES;
  }

  /** Adds a change to the turn. Returns where its record will be in the file, in bytes. */
  add(change: Change): number {
    const at = this.#gathered.claim(sizeOfRecord(change));
    writeRecord(change, this.#gathered.memory, at);
    return this.#begin + at;
  }

  /** Drops the turn's last records, back to this length. */
  undo(length: number): void {
    this.#gathered.truncate(HEAD_BYTES + length);
    if (length === 0) this.#gathered.clear();
  }

  /** How many bytes more the turn can take in its segment. */
  get roomLeft(): number {
    return Math.max(0, this.#roomIn(this.active));
  }

  /** How many slots there are for later turns, including the next one. */
  get spareSlots(): number {
    return this.#slots.free.length;
  }

  /** The bytes of all turns, and of the headers of their segments. */
  get filledBytes(): number {
    return this.#segments.reduce((sum, { end }) => sum + end, 0);
  }

  /**
   * Whether this many more bytes leave what frees space on a full disk: a slot for compaction, and some
   * bytes for DELETE.
   */
  hasRoomFor(bytes: number): boolean {
    return this.spareSlots >= PREPARED_SLOTS ||
      (this.spareSlots > 0 && this.roomLeft - bytes >= this.#slotBytes * DELETION_SHARE);
  }

  /** Whether the active segment has room for the turn and this many more bytes. */
  fits(more = 0): boolean {
    return this.#roomIn(this.active) >= more;
  }

  /**
   * Continues in another segment if the active one lacks the room for the turn and this many more bytes, and
   * returns where the turn's records are now. Throws errors of the system and TableError.
   */
  makeRoom(more = 0): Moved | undefined {
    return this.fits(more) ? undefined : this.#goOn(more);
  }

  /**
   * Makes the turn durable, for which there must be room. Throws errors of the system and TableError, and then
   * still holds the turn.
   */
  commit({ version, oldest }: Commit): void {
    assertThat(this.fits(), "a turn has room in its segment");
    const { active } = this;
    const index = this.#addIndex();
    const { memory, length: to } = this.#gathered;
    const turn = {
      offset: SEGMENT_HEADER_BYTES,
      length: to - SEGMENT_HEADER_BYTES,
      sequence: this.#sequence + 1,
      version,
      oldest,
    };
    sealTurn(memory, { ...turn, seed: active.seed });
    if (this.#isFresh) writeSegmentHeader({ ...active.header, index }, memory);
    const from = this.#isFresh ? 0 : SEGMENT_HEADER_BYTES;
    this.#file.write(memory.bytes.subarray(from, to), this.#begin + from);
    this.#sync();
    if (this.#isFresh) this.#begun();
    active.index.add(memory, { from: HEAD_BYTES, to, at: active.end + TURN_HEADER_BYTES });
    active.end += turn.length;
    this.#sequence++;
    this.#version = version;
    this.#gathered.clear();
    this.#releaseBefore(oldest);
  }

  /**
   * Prepares the slots for later turns, a bounded step at a time; true if there is more to do. On a full
   * disk, `isFull` is set until there is room. Throws errors of the system.
   */
  prepareNext(bytes = FILL_BYTES_MIN): boolean {
    this.#slots.freeHeld();
    if (this.spareSlots >= PREPARED_SLOTS) {
      this.isFull = false;
      return false;
    }
    try {
      this.#slots.grow(Math.max(FILL_BYTES_MIN, FILL_SHARE * bytes));
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.isFull = true;
      return false;
    }
    return true;
  }

  /** Gives free slots at the end of the file back to the file system, if there are many. */
  shrink(): void {
    if (this.hasManyFree) this.#slots.shrink(this.#keptSlots);
  }

  /** Whether many slots are free: if `shrink` leaves them, a segment is at the end of the file. */
  get hasManyFree(): boolean {
    return this.#slots.free.length > 2 * this.#keptSlots;
  }

  /**
   * Continues in another segment, as near to the start of the file as there is room. Throws errors of the
   * system.
   */
  goOn(): void {
    assertThat(this.length === 0, "nothing is moved");
    if (!this.#isFresh) this.#goOn(0);
  }

  /** Reads a record into memory of its size, without verifying it. Returns how many bytes were there. */
  read(bytes: Uint8Array, place: number): number {
    return this.#file.read(bytes, place);
  }

  /** The same, asynchronously. */
  readLater(bytes: Uint8Array, place: number): Promise<number> {
    return this.#file.readLater(bytes, place);
  }

  /** The segment that has this place. */
  segmentAt(place: number): Segment | undefined {
    return this.#bySlot[Math.floor(place / this.#slotBytes)];
  }

  /**
   * Makes durable what was found: the process that wrote it may have been killed before its sync, and after a
   * failed sync the system takes unwritten data for written. Throws errors of the system.
   */
  rewrite({ last }: Chain): void {
    const { active } = this;
    // Earlier segments were synced before the last one was begun.
    const { offset, length } = last?.segment === active
      ? last.header
      : { offset: SEGMENT_HEADER_BYTES, length: 0 };
    const copy = (from: number, to: number) => {
      const bytes = new Uint8Array(to - from);
      this.#file.read(bytes, active.start + from);
      this.#file.write(bytes, active.start + from);
    };
    // The first turn in one go with the header, as it was written.
    if (offset === SEGMENT_HEADER_BYTES) copy(0, offset + length);
    else {
      copy(0, SEGMENT_HEADER_BYTES);
      copy(offset, offset + length);
    }
    this.#sync();
  }

  /** Throws an error unless the slots of segments, the free ones and the held ones are all that there are. */
  check(): void {
    this.#slots.check(slotsOf(this.#segments));
    for (const [i, segment] of this.#segments.entries()) {
      assertThat(segment.number === this.#segments[0]!.number + i, "segments are in a row");
      assertThat(this.segmentAt(segment.start) === segment, "slots lead to their segments");
      assertThat(segment.end <= segment.size, "a segment ends within its slots");
    }
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  get #keptSlots(): number {
    return PREPARED_SLOTS + Math.ceil(this.#usedSlots * KEPT_SHARE);
  }

  /** Where the gathered memory, including the space before the records, begins in the file. */
  get #begin(): number {
    return this.active.start + this.active.end - SEGMENT_HEADER_BYTES;
  }

  /** How many bytes a segment has left with the turn; less than 0 if it lacks some. */
  #roomIn({ size, end, reserved }: Segment): number {
    return size - end - reserved - TURN_HEADER_BYTES - this.length;
  }

  /** Continues in a segment that has room for the turn and this many more bytes. */
  #goOn(more: number): Moved {
    const from = this.#begin + HEAD_BYTES;
    if (this.#isFresh) this.#discardActive();
    let slots = 1;
    while (this.#roomIn(this.#segmentIn(0, slots)) < more) slots++;
    const next = this.#segmentIn(this.#slots.take(slots) ?? this.#slots.extend(slots), slots);
    this.#segments.push(next);
    this.#use(next);
    this.#isFresh = true;
    return { from, to: from + this.length, by: this.#begin + HEAD_BYTES - from };
  }

  /** The segment that follows the active one, in these slots. */
  #segmentIn(slot: number, slots: number): Segment {
    const header = {
      salt: this.#salt,
      number: this.active.number + 1,
      slots,
      slotBytes: this.#slotBytes,
      sequence: this.#sequence,
      oldest: this.#segments[0]!.number,
      index: 0,
    };
    const segment = new Segment(header, slot, SEGMENT_HEADER_BYTES);
    segment.reserved = this.active.index.recordBytes;
    return segment;
  }

  /** Notes that the active segment is in the file, with the index of the one before. */
  #begun(): void {
    this.#isFresh = false;
    this.active.reserved = 0;
    this.#segments.at(-2)?.index.drop();
  }

  /** Adds the index of the segment before to the first turn of one, and returns where; 0 if there is none. */
  #addIndex(): number {
    const record = this.#isFresh ? this.#segments.at(-2)?.index.record : undefined;
    if (record === undefined) return 0;
    const at = this.#gathered.claim(sizeOfRecord(record));
    writeRecord(record, this.#gathered.memory, at);
    return at;
  }

  /** Gives back the active segment, whose first turn was not committed, and frees its number. */
  #discardActive(): void {
    const { slot, slots, start } = this.active;
    // A failed turn may have written some of it.
    this.#file.write(new Uint8Array(HEAD_BYTES), start);
    this.#sync();
    this.#segments.pop();
    this.#forget(slot, slots);
    this.#isFresh = false;
  }

  /** Frees the segments before this one, which a durable turn no longer needs. */
  #releaseBefore(oldest: number): void {
    assertThat(oldest <= this.active.number, "the active segment is needed");
    while (this.#segments[0]!.number < oldest) {
      const { slot, slots } = this.#segments.shift()!;
      this.#forget(slot, slots);
    }
  }

  #forget(slot: number, slots: number): void {
    for (let i = 0; i < slots; i++) this.#bySlot[slot + i] = undefined;
    this.#usedSlots -= slots;
    this.#slots.release(slot, slots);
  }

  #use(segment: Segment): void {
    for (let i = 0; i < segment.slots; i++) this.#bySlot[segment.slot + i] = segment;
    this.#usedSlots += segment.slots;
  }

  /** Never called again after a failure, when the content of the disk is unknown. */
  #sync(): void {
    try {
      this.#file.sync();
    } catch (cause) {
      throw new TableError("the log can't be synced", { cause, fatal: true });
    }
  }
}
