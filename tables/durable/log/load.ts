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
import { type Chain, DamageError, readTurns } from "./chain.ts";
import type { PositionedFile } from "./file.ts";
import { changeIn, recordBytesAt, TURN_HEADER_BYTES, type TurnHeader } from "./format.ts";
import type { Segment } from "./segment.ts";
import { entriesOf, entryBytes, readIndex, type SegmentIndex } from "./segment_index.ts";

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
export function load({ file, chain, memtable, hotBytesMax }: Loading): number {
  let records = 0;
  let memory: Memory | undefined;
  let sequence: number | undefined;
  for (const segment of chain.segments) {
    const isActive = segment === chain.segments.at(-1);
    const index = isActive ? undefined : readIndex(file, segment);
    if (index !== undefined) {
      records += loadIndex(memtable, segment, index);
      segment.end = index.end;
      segment.isIndexed = true;
      // The first turn is not read: its segment follows the one before if its last turn says so.
      sequence = index.sequence;
      memtable.commit();
      continue;
    }
    const read = readTurns(file, segment, memory);
    memory = read.memory;
    const first = read.turns[0];
    if (sequence !== undefined && first !== undefined && first.sequence !== sequence + 1) {
      throw new DamageError(segment.start, `the turns after ${sequence} are missing`);
    }
    if (!isActive && read.turns.at(-1)?.next === undefined) {
      throw new DamageError(segment.start + read.end, "a turn can't be read, and others follow it");
    }
    for (const turn of read.turns) {
      records += loadTurn(memtable, segment, { memory, turn, hotBytesMax });
    }
    segment.end = read.end;
    sequence = read.turns.at(-1)?.sequence ?? sequence;
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
    const change = readChange(memory, changeIn(at));
    const { kind, key, value, version, expiresAt } = change;
    if (kind === KIND.PUT) {
      const isHot = memtable.records.hotBytes < hotBytesMax && memtable.budget.room > 0;
      const stored = isHot ? value : value.length;
      memtable.put(key, stored, { version, expiresAt, place: segment.start + at });
    } else {
      removeBy(memtable, kind, key);
    }
    segment.indexBytes += entryBytes(change);
    at += recordBytesAt(memory, at, end)!;
  }
  return turn.count;
}

function removeBy(memtable: Memtable, kind: number, key: Text): void {
  if (kind === KIND.CLEAR) return memtable.clear();
  const ref = memtable.find(key);
  if (ref !== NO_REF) memtable.remove(ref);
}
