/**
 * Finds the log in its file: the chain of segments from the oldest to the active one, and the last turn that
 * was committed. It only reads.
 *
 * A crash may leave a torn turn at the end, which was never acknowledged and does not count. Anything else that
 * is wrong is damage: a segment that is missing, a gap between turns, or a turn that can be read behind one
 * that can't.
 *
 * @module
 */

import { Memory } from "../../text.ts";
import type { PositionedFile } from "./file.ts";
import {
  ALIGNMENT,
  decodeSegmentHeader,
  isWholeTurn,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  TURN_HEADER_BYTES,
  type TurnHeader,
  turnHeaderAt,
} from "./format.ts";
import { Segment, slotsOf } from "./segment.ts";

/** Something is wrong with the log. The message names the place, not the file. */
export class DamageError extends Error {
  /** Where the damage is in the file, in bytes. */
  readonly offset: number;

  /** Damage at this offset. */
  constructor(offset: number, why: string) {
    super(`it is damaged at byte ${offset}: ${why}`);
    this.offset = offset;
  }
}

/** A log as its file has it. */
export interface Chain {
  /** The segments, from the oldest to the active one. */
  readonly segments: readonly Segment[];
  /** The last turn; undefined in a new log. */
  readonly last: LastTurn | undefined;
}

/** The last turn of a log. */
export interface LastTurn {
  /** Its segment. */
  readonly segment: Segment;
  /** Its header, with its offset from the start of the segment. */
  readonly header: TurnHeader;
}

/** The turns of one segment, as far as they are whole. */
export interface Turns {
  /** The bytes of the segment. */
  readonly memory: Memory;
  /** The turns, in order; their offsets are from the start of the segment. */
  readonly turns: readonly TurnHeader[];
  /** Where the next turn would begin, from the start of the segment. */
  readonly end: number;
  /** The sequence number of the last one; without any, that of the turn before them. */
  readonly sequence: number;
}

/** What is known of a log before it is read: nothing of a copy, whose first slot says it. */
export interface Identity {
  /** Tells its segments from those of other tables. */
  readonly salt: number;
  /** The size of its slots, in bytes. */
  readonly slotBytes: number;
}

/** Finds the chain. Throws DamageError, and errors of the system. */
export function findChain(file: PositionedFile, identity: Identity = firstHeader(file)): Chain {
  const found = new Map(readHeaders(file, identity).map((each) => [each.header.number, each]));
  if (found.size === 0) throw new DamageError(0, "there is no segment of Keyline's log");
  const active = segmentOf(found, found.keys().reduce((a, b) => Math.max(a, b)));
  const turns = readTurns(file, active);
  checkRest(active, turns);
  active.end = turns.end;
  let last = lastOf(active, turns);
  // The first turn of a segment may be torn: then the last one is in a segment before.
  for (let number = active.number - 1; last === undefined && number > 0; number--) {
    const before = segmentOf(found, number);
    last = lastOf(before, readTurns(file, before));
  }
  const sequence = last?.header.sequence ?? 0;
  if (sequence !== turns.sequence) throw missingTurns(active, sequence);
  const oldest = Math.max(last?.header.oldest ?? 0, active.header.oldest);
  const segments: Segment[] = [];
  for (let each = oldest; each < active.number; each++) segments.push(segmentOf(found, each));
  segments.push(active);
  checkNext(file, segments);
  return { segments, last };
}

/** Reads a segment whole; what the file lacks of it is zeros. Pass memory of its size to use it again. */
export function readSegment(file: PositionedFile, segment: Segment, reused?: Memory): Memory {
  const memory = reused?.bytes.length === segment.size ? reused : new Memory(segment.size);
  const length = file.read(memory.bytes, segment.start);
  memory.bytes.fill(0, length);
  return memory;
}

/** Reads the turns of a segment. Pass memory of the segment's size to use it again. */
export function readTurns(file: PositionedFile, segment: Segment, reused?: Memory): Turns {
  const memory = readSegment(file, segment, reused);
  const turns: TurnHeader[] = [];
  let end = SEGMENT_HEADER_BYTES;
  let { sequence } = segment.header;
  for (;;) {
    const turn = turnHeaderAt(memory, end, segment.seed);
    const isNext = turn?.sequence === sequence + 1 && isWholeTurn(memory, turn, segment.seed);
    if (!isNext) return { memory, turns, end, sequence };
    turns.push(turn);
    end += turn.length;
    sequence++;
  }
}

/** The turns of a segment do not follow those of the segment before it. */
export function missingTurns({ start }: Segment, sequence: number): DamageError {
  return new DamageError(start, `the turns after ${sequence} are missing`);
}

/** Looks for a turn behind the end: the one between was whole once. Throws DamageError. */
function checkRest(segment: Segment, { memory, end, sequence }: Turns): void {
  // Behind the end there may be a part of the turn that was under way, but not of a later one.
  for (let at = end + ALIGNMENT; at + TURN_HEADER_BYTES <= memory.bytes.length; at += ALIGNMENT) {
    const turn = turnHeaderAt(memory, at, segment.seed);
    if (turn === undefined || turn.sequence <= sequence + 1) continue;
    throw new DamageError(
      segment.start + end,
      `a turn can't be read, but one after it can, at byte ${segment.start + at}`,
    );
  }
}

/** Looks for a segment that follows, whose header can't be read: it is written with the first turn. Throws DamageError. */
function checkNext(file: PositionedFile, segments: readonly Segment[]): void {
  const { header } = segments.at(-1)!;
  const taken = slotsOf(segments);
  const next = new Segment({ ...header, number: header.number + 1 }, 0, 0);
  const memory = new Memory(TURN_HEADER_BYTES);
  for (let slot = 0; slot * header.slotBytes < file.size(); slot++) {
    const at = slot * header.slotBytes + SEGMENT_HEADER_BYTES;
    if (taken.has(slot) || file.read(memory.bytes, at) < TURN_HEADER_BYTES) continue;
    if (turnHeaderAt(memory, 0, next.seed) !== undefined) throw missing(next.number);
  }
}

/** The header in a slot; undefined if there is no whole one. */
export function readHeader(file: PositionedFile, at: number): SegmentHeader | undefined {
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  return file.read(memory.bytes, at) < SEGMENT_HEADER_BYTES
    ? undefined
    : decodeSegmentHeader(memory);
}

/** The headers of all slots that are of this log, also of segments that are no longer needed. */
export function readHeaders(file: PositionedFile, { salt, slotBytes }: Identity): Found[] {
  const found: Found[] = [];
  for (let at = 0; at < file.size(); at += slotBytes) {
    const header = readHeader(file, at);
    if (header?.salt !== salt || header.slotBytes !== slotBytes) continue;
    found.push({ header, slot: at / slotBytes });
  }
  return found;
}

/** A header, and where it was found. */
export interface Found {
  /** What it says. */
  readonly header: SegmentHeader;
  /** The slot in which it stands. */
  readonly slot: number;
}

function firstHeader(file: PositionedFile): SegmentHeader {
  const header = readHeader(file, 0);
  if (header !== undefined) return header;
  throw new DamageError(0, "it does not begin with a segment of Keyline's log");
}

function lastOf(segment: Segment, { turns }: Turns): LastTurn | undefined {
  const header = turns.at(-1);
  return header && { segment, header };
}

function segmentOf(found: ReadonlyMap<number, Found>, number: number): Segment {
  const each = found.get(number);
  if (each === undefined) throw missing(number);
  return new Segment(each.header, each.slot, SEGMENT_HEADER_BYTES);
}

function missing(number: number): DamageError {
  return new DamageError(0, `segment ${number} is missing, or its header is damaged`);
}
