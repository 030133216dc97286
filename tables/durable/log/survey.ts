/**
 * Finds the segments of a log, however damaged it is: those that its chain has, or where that is broken, every
 * one that can still be told. Segments have numbers, so it is known which are missing, and the records of one
 * whose header is gone are valid under no other seed than that of its number.
 *
 * @module
 */

import { Memory } from "../../text.ts";
import { DamageError, type Found, type Identity, readHeaders, readSegment } from "./chain.ts";
import type { PositionedFile } from "./file.ts";
import {
  decodeSegmentHeader,
  seedOf,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  TURN_HEADER_BYTES,
  type TurnHeader,
  turnHeaderAt,
} from "./format.ts";
import { hasPieces, piecesOf } from "./pieces.ts";
import { Segment, slotsOf } from "./segment.ts";
import { readIndex } from "./segment_index.ts";

/** The smallest size of a slot, in bytes, and what sizes are multiples of. */
const SLOT_BYTES_MIN = 4_096;

/** What is left of a log. */
export interface Survey {
  /** The segments, in order. Their ends are not known. */
  readonly segments: readonly Segment[];
  /** The numbers of those that should be there and are not. */
  readonly missing: readonly number[];
  /** Those that were found without a header. */
  readonly headless: ReadonlySet<Segment>;
}

/** Tells which log it is by the first header in the file that is whole. Throws DamageError. */
export function identityIn(file: PositionedFile): Identity {
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  for (let at = 0, size = file.size(); at < size; at += SLOT_BYTES_MIN) {
    if (file.read(memory.bytes, at) < SEGMENT_HEADER_BYTES) break;
    const header = decodeSegmentHeader(memory);
    if (header !== undefined && isSlotSize(header.slotBytes)) return header;
  }
  throw new DamageError(0, "there is no segment of Keyline's log");
}

/** Whether slots can have this size: a file that somebody has made up may say anything. */
export function isSlotSize(bytes: number): boolean {
  return bytes > 0 && bytes % SLOT_BYTES_MIN === 0;
}

/** Finds what is left of a log whose chain is broken. */
export function survey(file: PositionedFile, identity: Identity): Survey {
  const found = [...readHeaders(file, identity).values()]
    .toSorted((a, b) => a.header.number - b.header.number);
  const { newest, turn } = findEnd(file, found);
  const oldest = found.reduce((max, { header }) => Math.max(max, header.oldest), turn?.oldest ?? 1);
  const segments = found.map(segmentOf).filter(({ number }) =>
    number >= oldest && number <= newest
  );
  const numbers = new Set(segments.map(({ number }) => number));
  const missing: number[] = [];
  const headless = new Set<Segment>();
  for (let number = oldest; number <= newest; number++) {
    if (numbers.has(number)) continue;
    const segment = findHeadless(file, { identity, number, segments });
    if (segment === undefined) {
      missing.push(number);
    } else {
      headless.add(segment);
      segments.push(segment);
    }
  }
  return { segments: segments.toSorted((a, b) => a.number - b.number), missing, headless };
}

/** The last turn that can be read, and the number of the last segment that was begun. */
function findEnd(
  file: PositionedFile,
  found: readonly Found[],
): { turn: TurnHeader | undefined; newest: number } {
  let newest: number | undefined;
  for (const each of found.toReversed()) {
    const segment = segmentOf(each);
    let turn: TurnHeader | undefined;
    for (const piece of piecesOf(readSegment(file, segment), { ...segment, end: segment.size })) {
      if (piece.kind === "turn") turn = piece.turn;
      if (piece.kind === "turn" || piece.kind === "record") newest ??= segment.number;
    }
    if (turn === undefined) continue;
    // A turn that seals its segment says that another one follows.
    const after = segment.number + (turn.next === undefined ? 0 : 1);
    return { turn, newest: Math.max(newest ?? 0, after) };
  }
  return { turn: undefined, newest: newest ?? found.at(-1)?.header.number ?? 1 };
}

/** Looks for a segment whose header is gone in the slots that no other segment has. */
function findHeadless(
  file: PositionedFile,
  { identity, number, segments }: {
    identity: Identity;
    number: number;
    segments: readonly Segment[];
  },
): Segment | undefined {
  const { salt, slotBytes } = identity;
  const taken = slotsOf(segments);
  const seed = seedOf({ salt, number });
  for (let slot = 0; slot * slotBytes < file.size(); slot++) {
    if (taken.has(slot)) continue;
    const header = { salt, number, slots: 1, slotBytes, version: 0, oldest: 0 };
    const first = new Segment(header, slot, SEGMENT_HEADER_BYTES);
    const memory = readSegment(file, first);
    if (!hasPieces(memory, seed) && readIndex(file, first) === undefined) continue;
    // Only a segment of one large turn has several slots.
    const turn = turnHeaderAt(memory, SEGMENT_HEADER_BYTES, seed);
    const needed = SEGMENT_HEADER_BYTES + (turn?.length ?? 0) + TURN_HEADER_BYTES;
    return segmentOf({ header: { ...header, slots: Math.ceil(needed / slotBytes) }, slot });
  }
  return undefined;
}

function segmentOf({ header, slot }: { header: SegmentHeader; slot: number }): Segment {
  return new Segment(header, slot, SEGMENT_HEADER_BYTES);
}
