/**
 * Loads a log into a memtable, at a start: segment by segment, by their indexes where they have some. It only
 * reads the file.
 *
 * @module
 */

import { KIND, readChange } from "../../change.ts";
import { NO_REF } from "../../memtable/arena.ts";
import type { Memtable } from "../../memtable/memtable.ts";
import type { Memory, Text } from "../../text.ts";
import { type Chain, missingTurns, readTurns, type Turns } from "./chain.ts";
import type { PositionedFile } from "./file.ts";
import { changeIn, recordBytesAt, TURN_HEADER_BYTES, type TurnHeader } from "./format.ts";
import type { Segment } from "./segment.ts";
import { entriesOf, readIndex, type SegmentIndex } from "./segment_index.ts";

/** What is loaded. */
export interface Loading {
  /** The log. */
  readonly file: PositionedFile;
  /** Its segments. */
  readonly chain: Chain;
  /** What takes the keys. */
  readonly memtable: Memtable;
  /** How much memory values may take, in bytes. */
  readonly hotBytesMax: number;
}

/** Loads all segments, and returns how many records were read. Throws DamageError. */
export function load({ file, chain: { segments }, memtable, hotBytesMax }: Loading): number {
  let records = 0;
  let memory: Memory | undefined;
  let { sequence } = segments[0]!.header;
  for (const [i, segment] of segments.entries()) {
    if (segment.header.sequence !== sequence) throw missingTurns(segment, sequence);
    const next = segments[i + 1]?.header.sequence;
    const index = next === undefined ? undefined : readIndex(file, segment, next);
    if (index !== undefined) {
      records += loadIndex(memtable, segment, index);
      segment.end = index.end;
      sequence = index.sequence;
    } else {
      const read = readTurns(file, segment, memory);
      memory = read.memory;
      for (const turn of read.turns) {
        records += loadTurn(memtable, segment, { memory, turn, hotBytesMax });
      }
      // Only the last segment gets an index.
      if (next === undefined) addToIndex(segment, read);
      segment.end = read.end;
      sequence = read.sequence;
    }
    memtable.commit();
  }
  return records;
}

function loadIndex(memtable: Memtable, segment: Segment, index: SegmentIndex): number {
  let records = 0;
  for (const { kind, key, valueLength, version, expiresAt, offset } of entriesOf(index)) {
    const place = segment.start + offset;
    if (kind === KIND.PUT) memtable.put(key, valueLength, { version, expiresAt, place });
    else removeBy(memtable, kind, key);
    records++;
  }
  return records;
}

function loadTurn(
  memtable: Memtable,
  segment: Segment,
  { memory, turn, hotBytesMax }: { memory: Memory; turn: TurnHeader; hotBytesMax: number },
): number {
  const end = turn.offset + turn.length;
  for (let at = turn.offset + TURN_HEADER_BYTES; at < end;) {
    const { kind, key, value, version, expiresAt } = readChange(memory, changeIn(at));
    if (kind === KIND.PUT) {
      const stored = memtable.records.hotBytes < hotBytesMax ? value : value.length;
      memtable.put(key, stored, { version, expiresAt, place: segment.start + at });
    } else {
      removeBy(memtable, kind, key);
    }
    at += recordBytesAt(memory, at, end)!;
  }
  return turn.count;
}

function addToIndex({ index }: Segment, { memory, turns }: Turns): void {
  for (const { offset, length } of turns) {
    const at = offset + TURN_HEADER_BYTES;
    index.add(memory, { from: at, to: offset + length, at });
  }
}

function removeBy(memtable: Memtable, kind: number, key: Text): void {
  if (kind === KIND.CLEAR) return memtable.clear();
  const ref = memtable.find(key);
  if (ref !== NO_REF) memtable.remove(ref);
}
