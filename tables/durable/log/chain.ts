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
  /** Slots with a header that is not of these segments, but newer: they were prepared, and not begun. */
  readonly prepared: readonly number[];
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
  const found = readHeaders(file, identity);
  if (found.length === 0) throw new DamageError(0, "there is no segment of Keyline's log");
  const byNumber = new Map(found.map((each) => [each.header.number, each]));
  // The newest segments may be empty: prepared, and not begun; or begun by a turn that has failed.
  const newest = Math.max(...byNumber.keys());
  let active = segmentOf(byNumber.get(newest)!);
  let turns = readTurns(file, active);
  while (turns.turns.length === 0) {
    const before = byNumber.get(active.number - 1);
    if (before === undefined) break;
    active = segmentOf(before);
    turns = readTurns(file, active, turns.memory);
  }
  const last = lastOf(active, turns);
  const next = last?.header.next;
  if (next !== undefined) {
    const begun = byNumber.get(active.number + 1);
    if (begun?.slot !== next) {
      const start = next * identity.slotBytes;
      throw new DamageError(start, `segment ${active.number + 1} has no valid header`);
    }
    active = segmentOf(begun);
    turns = readTurns(file, active, turns.memory);
  }
  checkRest(active, turns);
  active.end = turns.end;
  const oldest = Math.max(last?.header.oldest ?? 0, active.header.oldest);
  const segments: Segment[] = [];
  for (let number = oldest; number < active.number; number++) {
    const each = byNumber.get(number);
    if (each === undefined) throw missing(number, segments.at(-1));
    segments.push(segmentOf(each));
  }
  segments.push(active);
  const prepared = found.filter(({ header }) => header.number > active.number)
    .map(({ slot }) => slot);
  return { segments, last, prepared };
}

/** Reads the turns of a segment. Pass memory of the segment's size to use it again. */
export function readTurns(file: PositionedFile, segment: Segment, reused?: Memory): Turns {
  const memory = reused?.bytes.length === segment.size ? reused : new Memory(segment.size);
  const length = file.read(memory.bytes, segment.start);
  memory.bytes.fill(0, length);
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

function segmentOf({ header, slot }: Found): Segment {
  return new Segment(header, slot, SEGMENT_HEADER_BYTES);
}

function lastOf(segment: Segment, { turns }: Turns): LastTurn | undefined {
  const header = turns.at(-1);
  return header && { segment, header };
}

function missing(number: number, before: Segment | undefined): DamageError {
  const offset = before === undefined ? 0 : before.start + before.size;
  return new DamageError(offset, `segment ${number} is missing or has no valid header`);
}
