/**
 * Finds the log in its file: the chain of segments from the oldest to the active one, and the last committed
 * turn. It only reads.
 *
 * A crash may leave a torn turn at the end, which was never acknowledged and does not count. Anything else
 * wrong is damage: a missing segment, a gap between turns, or an unreadable turn followed by a readable one.
 *
 * @module
 */

import { Memory } from "../../text.ts";
import type { PositionedFile } from "./file.ts";
import {
  ALIGNMENT,
  decodeSegmentHeader,
  isWholeTurn,
  seedOf,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  TURN_HEADER_BYTES,
  type TurnHeader,
  turnHeaderAt,
} from "./format.ts";
import { Segment } from "./segment.ts";
import { Window } from "./window.ts";

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

/** A turn that was read. */
export interface ReadTurn {
  /** Its header, with its offset from the start of the segment. */
  readonly header: TurnHeader;
  /** Its bytes, until the next one is read. */
  readonly memory: Memory;
  /** Where it starts in them. */
  readonly at: number;
}

/** How far the turns of a segment can be read. */
interface End {
  /** The last turn; undefined if there is none. */
  readonly last: LastTurn | undefined;
  /** Its sequence number; without it, that of the turn before the segment. */
  readonly sequence: number;
  /** Where the next turn would begin, from the start of the segment. */
  readonly end: number;
}

/** What is known about a log before it is read: nothing for a copy, whose first slot says it. */
export interface Identity {
  /** Tells its segments from those of other tables. */
  readonly salt: number;
  /** The size of its slots, in bytes. */
  readonly slotBytes: number;
}

/** Finds the chain. Throws DamageError, and errors of the system. */
export function findChain(file: PositionedFile, identity: Identity = firstHeader(file)): Chain {
  // A copy is made while a server writes: what is read first must not be newer than what is read later.
  const heads = readHeads(file, identity.slotBytes);
  const found = new Map(headersIn(heads, identity).map((each) => [each.header.number, each]));
  if (found.size === 0) throw new DamageError(0, "there is no segment of Keyline's log");
  const active = segmentOf(found, found.keys().reduce((a, b) => Math.max(a, b)));
  checkNext(heads, active);
  const memory = readSegment(file, active);
  const { end, sequence, ...rest } = endOf(file, active);
  active.end = end;
  checkRest(memory, active, sequence);
  let { last } = rest;
  // The first turn of a segment may be torn: then the last one is in a segment before.
  for (let number = active.number - 1; last === undefined && number > 0; number--) {
    ({ last } = endOf(file, segmentOf(found, number)));
  }
  if (sequence !== (last?.header.sequence ?? 0)) {
    throw missingTurns(active, last?.header.sequence ?? 0);
  }
  const oldest = Math.max(last?.header.oldest ?? 0, active.header.oldest);
  const segments: Segment[] = [];
  for (let each = oldest; each < active.number; each++) segments.push(segmentOf(found, each));
  segments.push(active);
  return { segments, last };
}

/** Reads a whole segment; whatever the file lacks of it is zeros. Pass memory of its size to reuse it. */
export function readSegment(file: PositionedFile, segment: Segment, reused?: Memory): Memory {
  const memory = reused?.bytes.length === segment.size ? reused : new Memory(segment.size);
  const length = file.read(memory.bytes, segment.start);
  memory.bytes.fill(0, length);
  return memory;
}

/** The turns of a segment, as far as they follow each other and are whole. */
export function* readTurns(file: PositionedFile, segment: Segment): Generator<ReadTurn> {
  const window = new Window(file);
  const { start, size, seed } = segment;
  let { sequence } = segment.header;
  for (let offset = SEGMENT_HEADER_BYTES; offset < size;) {
    const place = start + offset;
    let at = window.show(place, TURN_HEADER_BYTES);
    const header = at === undefined ? undefined : turnHeaderAt(window.memory, at, seed);
    if (header?.sequence !== sequence + 1 || offset + header.length > size) return;
    at = window.show(place, header.length);
    if (at === undefined || !isWholeTurn(window.memory, { ...header, offset: at }, seed)) return;
    yield { header: { ...header, offset }, memory: window.memory, at };
    offset += header.length;
    sequence++;
  }
}

function endOf(file: PositionedFile, segment: Segment): End {
  let last: LastTurn | undefined;
  for (const { header } of readTurns(file, segment)) last = { segment, header };
  const end = last === undefined ? SEGMENT_HEADER_BYTES : last.header.offset + last.header.length;
  return { last, end, sequence: last?.header.sequence ?? segment.header.sequence };
}

/** The turns of a segment do not follow those of the segment before it. */
export function missingTurns({ start }: Segment, sequence: number): DamageError {
  return new DamageError(start, `the turns after ${sequence} are missing`);
}

/** Looks for a turn after the end, which means that the one between was once whole. Throws DamageError. */
function checkRest(memory: Memory, segment: Segment, sequence: number): void {
  // After the end there may be part of the turn that was under way, but not of a later one.
  const from = segment.end + ALIGNMENT;
  for (let at = from; at + TURN_HEADER_BYTES <= memory.bytes.length; at += ALIGNMENT) {
    const turn = turnHeaderAt(memory, at, segment.seed);
    if (turn === undefined || turn.sequence <= sequence + 1) continue;
    throw new DamageError(
      segment.start + segment.end,
      `a turn can't be read, but one after it can, at byte ${segment.start + at}`,
    );
  }
}

/**
 * Looks for a next segment whose header can't be read, although its first turn can: both are written
 * together. Throws DamageError.
 */
function checkNext(heads: readonly Memory[], { header, number }: Segment): void {
  const seed = seedOf({ salt: header.salt, number: number + 1 });
  const isBegun = (head: Memory) => turnHeaderAt(head, SEGMENT_HEADER_BYTES, seed) !== undefined;
  if (heads.some(isBegun)) throw missing(number + 1);
}

/** The header of a segment at this place; undefined if there is no whole one. */
export function readHeader(file: PositionedFile, place: number): SegmentHeader | undefined {
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  file.read(memory.bytes, place);
  return decodeSegmentHeader(memory);
}

/** The headers in all slots that belong to this log, even of segments that are no longer needed. */
export function readHeaders(file: PositionedFile, identity: Identity): Found[] {
  return headersIn(readHeads(file, identity.slotBytes), identity);
}

/** What each slot begins with: the headers of a segment and of its first turn. */
function readHeads(file: PositionedFile, slotBytes: number): Memory[] {
  const heads: Memory[] = [];
  for (let at = 0; at < file.size(); at += slotBytes) {
    const head = new Memory(SEGMENT_HEADER_BYTES + TURN_HEADER_BYTES);
    file.read(head.bytes, at);
    heads.push(head);
  }
  return heads;
}

function headersIn(heads: readonly Memory[], { salt, slotBytes }: Identity): Found[] {
  const found: Found[] = [];
  for (const [slot, head] of heads.entries()) {
    const header = decodeSegmentHeader(head);
    if (header?.salt === salt && header.slotBytes === slotBytes) found.push({ header, slot });
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

function segmentOf(found: ReadonlyMap<number, Found>, number: number): Segment {
  const each = found.get(number);
  if (each === undefined) throw missing(number);
  return new Segment(each.header, each.slot, SEGMENT_HEADER_BYTES);
}

function missing(number: number): DamageError {
  return new DamageError(0, `segment ${number} is missing, or its header is damaged`);
}
