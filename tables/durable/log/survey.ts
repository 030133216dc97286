/**
 * Finds the segments of a log, however damaged it is: those of its chain or, if that is broken, every one
 * that can still be recognised. Segments are numbered, so missing ones are known; the records of a segment
 * whose header is lost are valid only under the seed of its number.
 *
 * @module
 */

import {
  DamageError,
  type Found,
  type Identity,
  readHeader,
  readHeaders,
  readSegment,
} from "./chain.ts";
import type { PositionedFile } from "./file.ts";
import { seedOf, SEGMENT_HEADER_BYTES, type TurnHeader, turnHeaderAt } from "./format.ts";
import { hasPieces, piecesOf } from "./pieces.ts";
import { Segment, slotsOf } from "./segment.ts";

/** The smallest size of a slot, in bytes, and what sizes are multiples of. */
const SLOT_BYTES_MIN = 4_096;

/** What remains of a log. */
export interface Survey {
  /** The segments, in order. Their ends are not known. */
  readonly segments: readonly Segment[];
  /** The numbers of those that should be there and are not. */
  readonly missing: readonly number[];
  /** Those that were found without a header. */
  readonly headless: ReadonlySet<Segment>;
}

/** Identifies the log by the first whole header in the file. Throws DamageError. */
export function identityIn(file: PositionedFile): Identity {
  for (let at = 0; at < file.size(); at += SLOT_BYTES_MIN) {
    const header = readHeader(file, at);
    if (header !== undefined && isSlotSize(header.slotBytes)) return header;
  }
  throw new DamageError(0, "there is no segment of Keyline's log");
}

/** Whether slots can have this size: a forged file may say anything. */
export function isSlotSize(bytes: number): boolean {
  return bytes > 0 && bytes % SLOT_BYTES_MIN === 0;
}

/** Finds what remains of a log whose chain is broken. */
export function survey(file: PositionedFile, identity: Identity): Survey {
  const segments = readHeaders(file, identity).map(segmentOf).toSorted(byNumber);
  const oldest = segments.reduce(
    (max, { header }) => Math.max(max, header.oldest),
    lastTurn(file, segments)?.oldest ?? 1,
  );
  const needed = segments.filter(({ number }) => number >= oldest);
  const newest = needed.at(-1)?.number ?? oldest;
  const numbers = new Set(needed.map(({ number }) => number));
  const missing: number[] = [];
  const headless = new Set<Segment>();
  for (let number = oldest;; number++) {
    if (numbers.has(number)) continue;
    const segment = findHeadless(file, { identity, number, segments: needed });
    if (segment !== undefined) {
      headless.add(segment);
      needed.push(segment);
    } else if (number > newest) break;
    else missing.push(number);
  }
  return { segments: needed.toSorted(byNumber), missing, headless };
}

/** The last turn that can be read; undefined if there is none. */
function lastTurn(file: PositionedFile, segments: readonly Segment[]): TurnHeader | undefined {
  for (const segment of segments.toReversed()) {
    const { seed, size: end } = segment;
    let turn: TurnHeader | undefined;
    for (const piece of piecesOf(readSegment(file, segment), { seed, end, last: undefined })) {
      if (piece.kind === "turn") turn = piece.turn;
    }
    if (turn !== undefined) return turn;
  }
  return undefined;
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
    const header = { salt, number, slots: 1, slotBytes, sequence: NaN, oldest: 0, index: 0 };
    const first = new Segment(header, slot, SEGMENT_HEADER_BYTES);
    const memory = readSegment(file, first);
    if (!hasPieces(memory, seed)) continue;
    // Only a segment of one large turn has several slots.
    const turn = turnHeaderAt(memory, SEGMENT_HEADER_BYTES, seed);
    const needed = SEGMENT_HEADER_BYTES + (turn?.length ?? 0);
    return segmentOf({ header: { ...header, slots: Math.ceil(needed / slotBytes) }, slot });
  }
  return undefined;
}

function segmentOf({ header, slot }: Found): Segment {
  return new Segment(header, slot, SEGMENT_HEADER_BYTES);
}

function byNumber(a: Segment, b: Segment): number {
  return a.number - b.number;
}
