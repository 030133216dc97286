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
  damageOf,
  decodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  TURN_HEADER_BYTES,
  type TurnHeader,
  turnHeaderAt,
} from "./format.ts";
import { Segment } from "./segment.ts";

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
  /** Why there is none: a turn that is damaged or torn; undefined if nothing looks like one. */
  readonly brokenAt: number | undefined;
}

/** What is known of a log before it is read: nothing of a copy, whose first slot says it. */
export interface Identity {
  /** Tells its segments from those of other tables. */
  readonly salt: number;
  /** The size of its slots, in bytes. */
  readonly slotBytes: number;
}

/** Finds the chain. Throws DamageError, and errors of the system. */
export function findChain(file: PositionedFile, identity = identityOf(file)): Chain {
  const found = new Map(readHeaders(file, identity).map((each) => [each.header.number, each]));
  if (found.size === 0) throw new DamageError(0, "there is no segment of Keyline's log");
  let number = found.keys().reduce((a, b) => Math.max(a, b));
  let active = segmentOf(found, number);
  let turns = readTurns(file, active);
  // The newest ones may have no turn yet: one that was begun before a crash, and one that was prepared.
  while (turns.turns.length === 0 && number > 1) {
    active = segmentOf(found, --number);
    turns = readTurns(file, active);
  }
  const header = turns.turns.at(-1);
  const last = header && { segment: active, header };
  if (header?.next !== undefined) {
    active = segmentOf(found, number + 1);
    if (active.slot !== header.next) throw missing(number + 1);
    turns = readTurns(file, active);
  }
  checkRest(active, turns);
  active.end = turns.end;
  const oldest = Math.max(last?.header.oldest ?? 0, active.header.oldest);
  const segments: Segment[] = [];
  for (let each = oldest; each < active.number; each++) segments.push(segmentOf(found, each));
  segments.push(active);
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
  for (;;) {
    const turn = turnHeaderAt(memory, end, segment.seed);
    const before = turns.at(-1);
    if (turn === undefined) {
      const isAny = end + TURN_HEADER_BYTES <= memory.bytes.length &&
        memory.view.getUint32(end, true) !== 0;
      return { memory, turns, end, brokenAt: isAny ? end : undefined };
    }
    const follows = before === undefined || turn.sequence === before.sequence + 1;
    if (!follows) return { memory, turns, end, brokenAt: end };
    const brokenAt = damageOf(memory, turn, segment.seed);
    if (brokenAt !== undefined) return { memory, turns, end, brokenAt };
    turns.push(turn);
    end += turn.length;
    if (turn.next !== undefined) return { memory, turns, end, brokenAt: undefined };
  }
}

/** Looks for a turn behind the end: the one between was whole once. Throws DamageError. */
export function checkRest(segment: Segment, { memory, turns, end, brokenAt }: Turns): void {
  // Behind the end there may be a part of the turn that was under way, but not of a later one.
  const after = turns.at(-1)?.sequence ?? 0;
  for (let at = end; at + TURN_HEADER_BYTES <= memory.bytes.length; at += ALIGNMENT) {
    const turn = turnHeaderAt(memory, at, segment.seed);
    if (turn === undefined || turn.sequence <= after + 1 || at === end) continue;
    throw new DamageError(
      segment.start + (brokenAt ?? end),
      `a turn can't be read, but one after it can, at byte ${segment.start + at}`,
    );
  }
}

function identityOf(file: PositionedFile): Identity {
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  const length = file.read(memory.bytes, 0);
  const header = length === SEGMENT_HEADER_BYTES ? decodeSegmentHeader(memory) : undefined;
  if (header === undefined) {
    throw new DamageError(0, "it does not begin with a segment of Keyline's log");
  }
  return header;
}

/** The headers of all slots that are of this log, also of segments that are no longer needed. */
export function readHeaders(file: PositionedFile, { salt, slotBytes }: Identity): Found[] {
  const size = file.size();
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  const found: Found[] = [];
  for (let at = 0; at < size; at += slotBytes) {
    const length = file.read(memory.bytes, at);
    const header = length === SEGMENT_HEADER_BYTES ? decodeSegmentHeader(memory) : undefined;
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

function segmentOf(found: ReadonlyMap<number, Found>, number: number): Segment {
  const each = found.get(number);
  if (each === undefined) throw missing(number);
  return new Segment(each.header, each.slot, SEGMENT_HEADER_BYTES);
}

function missing(number: number): DamageError {
  return new DamageError(0, `segment ${number} is missing, or its header is damaged`);
}
