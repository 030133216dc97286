/**
 * Compaction: copies the live records of the oldest segment to the end of the log, so that its slots can be
 * reused. It works within commits, a bounded step at a time, and its copies are part of the turn, so they
 * become durable together with the note that the segment is no longer needed.
 *
 * The oldest segment goes first so that a deletion need never be copied: there is no older record that it
 * hides.
 *
 * @module
 */

import { KIND, readChange } from "../../change.ts";
import { NO_REF } from "../../memtable/arena.ts";
import type { Memtable } from "../../memtable/memtable.ts";
import { KEY_BYTES_MAX } from "../../table.ts";
import { assertThat, messageOf } from "../errors.ts";
import { DamageError } from "./chain.ts";
import {
  changeIn,
  isWholeRecord,
  recordBytes,
  recordBytesAt,
  SEGMENT_HEADER_BYTES,
  TURN_HEADER_BYTES,
  turnHeaderAt,
} from "./format.ts";
import type { Log } from "./log.ts";
import type { Segment } from "./segment.ts";
import { Window } from "./window.ts";

/** The log may take this many times its live bytes, besides the active segment. */
const SPACE_MAX = 2.5;
/** How much must be written before segments are moved to give space back, as a share of the whole. */
const MOVED_SHARE = 1 / 4;
/** On a full disk, what can be gained at least, in slots. */
const GAIN_SHARE = 1 / 4;
/** What the headers in a segment of copies take, in bytes; and more than that, in slots. */
const OVERHEAD_BYTES = 1_024;
const MARGIN_SHARE = 1 / 32;
/** This many slots are never worth compacting: with so few keys, all records of a segment are soon replaced. */
const TOLERATED_SLOTS = 5;

/** A record that was copied into the turn. */
interface Copy {
  readonly ref: number;
  /** Where its copy will be. */
  readonly place: number;
}

/** Copies live records out of old segments. */
export class Compactor {
  readonly #log: Log;
  readonly #memtable: Memtable;
  readonly #slotBytes: number;
  readonly #window: Window;
  /** The segment that is being read, and where, from its start. */
  #segment: Segment | undefined;
  #at = 0;
  #turnEnd = 0;
  #copies: Copy[] = [];
  /** How many bytes of them are from the segment that is being read. */
  #copiedFrom = 0;
  /** The segments that this turn makes unneeded. */
  #done: Segment[] = [];
  /** The segment in which damage was found: no later one can be compacted. */
  #damaged: Segment | undefined;
  /**
   * Segments up to the first of these are moved towards the start of the file; from the second on, that may
   * be repeated.
   */
  #moveTo = 0;
  #moveAgain = 0;
  /** How many bytes it has copied. */
  copiedBytes = 0;

  /** Compacts this log, whose live records this memtable knows. */
  constructor(log: Log, { memtable, slotBytes }: { memtable: Memtable; slotBytes: number }) {
    this.#log = log;
    this.#memtable = memtable;
    this.#slotBytes = slotBytes;
    this.#window = new Window(log);
  }

  /** The number of the oldest segment that is needed once the turn is durable. */
  get oldest(): number {
    return this.#log.segments[this.#done.length]!.number;
  }

  /** Whether a turn must be committed to make its work durable. */
  get isPending(): boolean {
    return this.#done.length > 0 || this.#copies.length > 0;
  }

  /** How many bytes the log takes beyond what it may. */
  excessBytes(): number {
    const used = this.#log.usedSlots - this.#done.reduce((sum, { slots }) => sum + slots, 0);
    return (used - TOLERATED_SLOTS) * this.#slotBytes - SPACE_MAX * this.#memtable.liveBytes.total;
  }

  /**
   * Whether to move segments towards the start of the file, because most of it is free and can't be given
   * back. Begins with the active one, and visits each once. Throws errors of the system.
   */
  isMoving(): boolean {
    const log = this.#log;
    if (!log.hasManyFree) return false;
    const { number } = log.active;
    if (number >= this.#moveAgain) {
      this.#moveTo = number;
      // Writes pay for the copying.
      this.#moveAgain = number + Math.ceil(MOVED_SHARE * log.usedSlots) + 1;
      log.goOn();
    }
    return log.segments[0]!.number <= this.#moveTo;
  }

  /** How much room of one segment it takes to compact the oldest one, in bytes. */
  get neededBytes(): number {
    const live = this.#liveBytesOf(this.#log.segments[0]!);
    return live === 0 ? 0 : live + MARGIN_SHARE * this.#slotBytes;
  }

  /** Whether compaction would free space on a full disk, and has enough for its copies. */
  canGainRoom(): boolean {
    const { segments, filledBytes, roomLeft, spareSlots } = this.#log;
    const garbage = filledBytes - this.#memtable.liveBytes.total - OVERHEAD_BYTES * segments.length;
    return garbage > GAIN_SHARE * this.#slotBytes &&
      (spareSlots > 0 || this.neededBytes <= roomLeft) &&
      this.#liveBytesOf(segments[0]!) <= roomLeft + spareSlots * this.#slotBytes;
  }

  /**
   * Reads on for about this many bytes, and adds live records to the turn, as far as its segment has room.
   * Segments with nothing live cost nothing. False if there is nothing to do. Throws DamageError once for a
   * segment, and stops there from then on, as long as something in it is live. Copies nothing once this many
   * segments are done.
   */
  step(bytesMax: number, { copiedMax = Infinity } = {}): boolean {
    let left = bytesMax;
    while (this.#log.segments.length - this.#done.length > 1) {
      const segment = this.#log.segments[this.#done.length]!;
      if (this.#liveBytesOf(segment) > 0) {
        if (segment === this.#damaged) return this.isPending;
        if (this.#done.length >= copiedMax) return true;
        if (left <= 0) return true;
        left -= this.#copyFrom(segment, left);
        if (this.#at < segment.end) return true;
        // Damage may have hidden a live record: then its segment must stay.
        if (this.#liveBytesOf(segment) > this.#copiedFrom) throw this.#damage(segment);
      }
      this.#done.push(segment);
      this.#segment = undefined;
      this.#copiedFrom = 0;
    }
    return this.isPending;
  }

  /** Makes the copies count, after the turn was committed. */
  committed(): void {
    for (const { ref, place } of this.#copies) this.#memtable.moveInLog(ref, place);
    for (const each of this.#done) {
      assertThat(this.#liveBytesOf(each) === 0, "nothing is live in a segment that is given back");
    }
    this.#copies = [];
    this.#copiedFrom = 0;
    this.#done = [];
  }

  /** Forgets the copies after the turn has failed: records that seemed replaced may be live again. */
  undo(): void {
    this.#copies = [];
    this.#copiedFrom = 0;
    this.#done = [];
    this.#segment = undefined;
  }

  #liveBytesOf({ slot, slots }: Segment): number {
    let bytes = 0;
    for (let i = 0; i < slots; i++) bytes += this.#memtable.liveBytes.in(slot + i);
    return bytes;
  }

  /** Copies from a segment, and returns how many bytes were read or passed over. */
  #copyFrom(segment: Segment, bytesMax: number): number {
    if (this.#segment !== segment) {
      this.#segment = segment;
      this.#at = this.#turnEnd = SEGMENT_HEADER_BYTES;
      this.#window.hide();
    }
    const from = this.#at;
    while (this.#at < segment.end && this.#at - from < bytesMax) {
      if (this.#at === this.#turnEnd) {
        const offset = this.#show(segment, TURN_HEADER_BYTES);
        const turn = offset === undefined
          ? undefined
          : turnHeaderAt(this.#window.memory, offset, segment.seed);
        if (turn === undefined) throw this.#damage(segment);
        this.#turnEnd = this.#at + turn.length;
        this.#at += TURN_HEADER_BYTES;
        continue;
      }
      const length = this.#copyRecord(segment);
      if (length === 0) break; // The next turn continues in another segment, from this record.
      this.#at += length;
    }
    return this.#at - from;
  }

  /** Copies the next record if it is live, and returns its length; 0 if the turn has no room for it. */
  #copyRecord(segment: Segment): number {
    const window = this.#window;
    let offset = this.#show(segment, RECORD_HEAD_BYTES_MAX) ?? this.#show(segment, 0)!;
    const length = recordBytesAt(window.memory, offset, offset + this.#turnEnd - this.#at);
    if (length === undefined) throw this.#damage(segment);
    const place = segment.start + this.#at;
    let change = readChange(window.memory, changeIn(offset));
    // None of this is verified yet, and the key may seem to end after what was read.
    if (change.key.end > window.length) throw this.#damage(segment);
    if (change.kind !== KIND.PUT) return length;
    const ref = this.#memtable.find(change.key);
    if (ref === NO_REF || this.#memtable.records.place(ref) !== place) return length;
    if (this.#bytesOf(ref) !== length) throw this.#damage(segment);
    if (!this.#log.fits(length)) {
      if (this.#log.length > 0) return 0;
      this.#log.makeRoom(length);
    }
    if (this.#memtable.records.isCold(ref)) {
      offset = this.#show(segment, length) ?? -1;
      const isWhole = offset >= 0 && isWholeRecord(window.memory, offset, segment.seed);
      if (!isWhole) throw this.#damage(segment);
      change = readChange(window.memory, changeIn(offset));
    } else {
      // What is in memory was written or verified before.
      const { value, version, expiresAt } = this.#memtable.entryOf(ref);
      change = { kind: KIND.PUT, key: change.key, value, version, expiresAt: expiresAt ?? 0 };
    }
    this.#copies.push({ ref, place: this.#log.add(change) });
    this.#copiedFrom += length;
    this.copiedBytes += length;
    return length;
  }

  /** The size of the record in the log, as memory knows it. */
  #bytesOf(ref: number): number {
    const { records } = this.#memtable;
    return recordBytes(records.keyLength(ref), records.valueLength(ref), records.expiresAt(ref));
  }

  /** Where in the window the next bytes of a segment are; undefined if the file ends before. */
  #show(segment: Segment, length: number): number | undefined {
    try {
      return this.#window.show(segment.start + this.#at, length);
    } catch (error) {
      throw this.#damage(segment, messageOf(error));
    }
  }

  #damage(segment: Segment, why = "compaction can't read what is there"): DamageError {
    this.#damaged = segment;
    return new DamageError(segment.start + this.#at, why);
  }
}

/** The most that the head of a record and its key take, in bytes. */
const RECORD_HEAD_BYTES_MAX = 28 + KEY_BYTES_MAX;
