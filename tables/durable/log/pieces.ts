/**
 * Reads a segment piece by piece, however damaged it is. After damage it continues with the next turn or
 * record that has its checksum. The slot's previous content can't be mistaken for one, because its seed
 * differs.
 *
 * @module
 */

import { type Change, KIND, readChange } from "../../change.ts";
import type { Memory } from "../../text.ts";
import {
  ALIGNMENT,
  changeIn,
  isWholeRecord,
  isWholeTurn,
  recordBytesAt,
  SEGMENT_HEADER_BYTES,
  TURN_HEADER_BYTES,
  type TurnHeader,
  turnHeaderAt,
} from "./format.ts";
import { INDEX_KIND } from "./segment_index.ts";
import { KEY_BYTES_MAX } from "../../table.ts";

/** A part of a segment. All offsets are in bytes from the segment's start. */
export type Piece =
  | TurnPiece
  | RecordPiece
  | DamagePiece
  | RestPiece;

/** The header of a turn, which is whole. */
export interface TurnPiece {
  /** Tells the pieces apart. */
  readonly kind: "turn";
  /** The header. */
  readonly turn: TurnHeader;
}

/** A record that is whole. */
export interface RecordPiece {
  /** Tells the pieces apart. */
  readonly kind: "record";
  /** Where it starts. */
  readonly offset: number;
  /** Its length. */
  readonly length: number;
  /** The sequence number of its turn; undefined if the turn's header is damaged. */
  readonly sequence: number | undefined;
  /** The change in it, valid until the next piece is read. */
  readonly change: Change;
}

/** Bytes that can't be read, followed by something that can. */
export interface DamagePiece {
  /** Tells the pieces apart. */
  readonly kind: "damage";
  /** Where they start. */
  readonly offset: number;
  /** Where the next piece starts. */
  readonly end: number;
  /** What should be there. */
  readonly what: "turn" | "record" | "records";
  /** The key of a damaged record, as far as it can be read. */
  readonly change: Change | undefined;
}

/** From here on nothing can be read: free room, a torn turn, or damage. */
export interface RestPiece {
  /** Tells the pieces apart. */
  readonly kind: "rest";
  /** Where it starts. */
  readonly offset: number;
}

/**
 * The pieces of a segment, up to `end`, or up to the turn with this sequence number if that is known to be
 * the last.
 */
export function* piecesOf(
  memory: Memory,
  { seed, end, last }: { seed: number; end: number; last: number | undefined },
): Generator<Piece> {
  let at = SEGMENT_HEADER_BYTES;
  let turn: TurnHeader | undefined;
  let sequence: number | undefined;
  /** Where the next turn is expected. */
  let turnEnd = at;
  let isDamaged = false;
  while (at < end) {
    if (at >= turnEnd) {
      if (sequence !== undefined && sequence === last) return;
      const header = turnHeaderAt(memory, at, seed);
      if (header !== undefined && at + header.length <= end) {
        yield { kind: "turn", turn: header };
        [turn, turnEnd, isDamaged] = [header, at + header.length, false];
        sequence = header.sequence;
        at += TURN_HEADER_BYTES;
        continue;
      }
    }
    // After a damaged header, the records of its turn are read without it.
    const mayBeRecord = at < turnEnd || turn === undefined && at > SEGMENT_HEADER_BYTES;
    const limit = at < turnEnd ? turnEnd : end;
    const length = mayBeRecord ? wholeRecordAt(memory, at, { limit, seed }) : undefined;
    if (length === undefined) {
      const next = nextPiece(memory, at + ALIGNMENT, { end, seed });
      const what = at < turnEnd ? "record" : "turn";
      if (next === undefined && what === "turn") return yield { kind: "rest", offset: at };
      const after = next ?? Math.min(turnEnd, end);
      const change = what === "record" ? damagedChange(memory, at, after) : undefined;
      yield { kind: "damage", offset: at, end: after, what, change };
      isDamaged = true;
      at = after;
      if (at >= turnEnd) turn = undefined;
      continue;
    }
    const change = readChange(memory, changeIn(at));
    yield { kind: "record", offset: at, length, sequence: turn?.sequence, change };
    at += length;
    if (at === turnEnd && !isDamaged && !isWholeTurn(memory, turn!, seed)) {
      yield { kind: "damage", offset: turn!.offset, end: at, what: "records", change: undefined };
    }
  }
}

/** Whether anything of a segment can be read under this seed. */
export function hasPieces(memory: Memory, seed: number): boolean {
  return nextPiece(memory, SEGMENT_HEADER_BYTES, { end: memory.bytes.length, seed }) !== undefined;
}

/** The next turn or record from an offset on; undefined if there is none. */
function nextPiece(
  memory: Memory,
  from: number,
  { end, seed }: { end: number; seed: number },
): number | undefined {
  for (let at = from; at + ALIGNMENT <= end; at += ALIGNMENT) {
    if (turnHeaderAt(memory, at, seed) !== undefined) return at;
    if (wholeRecordAt(memory, at, { limit: end, seed }) !== undefined) return at;
  }
  return undefined;
}

/** The length of the record at an offset; undefined if there is no whole one. */
function wholeRecordAt(
  memory: Memory,
  at: number,
  { limit, seed }: { limit: number; seed: number },
): number | undefined {
  const length = recordBytesAt(memory, at, limit);
  if (length === undefined || !isChange(readChange(memory, changeIn(at)))) return undefined;
  return isWholeRecord(memory, at, seed) ? length : undefined;
}

/** The header of a damaged record, if its length is plausible. */
function damagedChange(memory: Memory, at: number, end: number): Change | undefined {
  if (recordBytesAt(memory, at, end) !== end - at) return undefined;
  const change = readChange(memory, changeIn(at));
  return isChange(change) ? change : undefined;
}

/** Whether this can be a change: no checksum is computed for anything else. */
function isChange({ kind, key, value }: Change): boolean {
  if (kind === KIND.CLEAR) return key.length === 0 && value.length === 0;
  if (kind === INDEX_KIND) return key.length === 0;
  if (key.length === 0 || key.length > KEY_BYTES_MAX) return false;
  return kind === KIND.PUT ? value.length > 0 : kind === KIND.DELETE && value.length === 0;
}
