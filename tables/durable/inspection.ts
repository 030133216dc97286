/**
 * Reads a whole log and verifies every checksum in it: for copies, for `check`, and to salvage a damaged log.
 * It trusts no index, and continues after damage.
 *
 * @module
 */

import { type Change, KIND } from "../change.ts";
import { NO_REF } from "../memtable/arena.ts";
import { Memtable } from "../memtable/memtable.ts";
import { OpenError } from "./errors.ts";
import { DamageError, readSegment } from "./log/chain.ts";
import { recordBytes, SEGMENT_HEADER_BYTES, type TurnHeader } from "./log/format.ts";
import { IndexCheck } from "./log/index_check.ts";
import { makeChange } from "./log/load.ts";
import { INDEX_KIND, readIndex } from "./log/segment_index.ts";
import { type DamagePiece, type Piece, piecesOf, type RecordPiece } from "./log/pieces.ts";
import type { Segment } from "./log/segment.ts";
import { identityIn, type Survey, survey } from "./log/survey.ts";
import { chainOf, type ReadOnlyTable } from "./read_only_table.ts";

/** The progress of a long piece of work. */
export interface Progress {
  /** How many keys are found or copied. */
  readonly keys: number;
  /** How much is done, from 0 to 1. */
  readonly fraction: number;
}

/** Work in steps, so that its caller can show progress, and stop. */
export type Steps<Result> = Generator<Progress, Result>;

/** Something in a log, or in the state beside it, is not as it should be. */
export interface Damage {
  /** Where it starts in the log, in bytes; undefined if it is in the state. */
  readonly offset: number | undefined;
  /** What is wrong. */
  readonly why: string;
}

/** A piece of a log. */
export interface PlacedPiece {
  /** Its segment. */
  readonly segment: Segment;
  /** The piece, valid until the next one is read. */
  readonly piece: Piece;
}

const STEP_RECORDS = 8_192;
const WHAT = {
  turn: "a turn can't be read",
  record: "a record can't be read",
  records: "a turn does not have the records that it was written with",
} as const;

/** What is found in a log. */
export class Inspection {
  /** The keys, with the places of their newest records. */
  readonly memtable: Memtable;
  /** All that is wrong. */
  readonly damage: Damage[] = [];
  /** The keys whose newest record is lost, with its place, or the place of the index that names it. */
  readonly lost = new Map<string, number>();
  /** Whether more may be lost, of which nothing says what it was. */
  mayHaveLostMore = false;
  /** The last version that the table is known to have given. */
  version = 0;
  /** The sequence number of the last turn. */
  sequence = 0;
  /** How many segments have an index. */
  indexes = 0;
  readonly #table: ReadOnlyTable;
  readonly #survey: Survey;
  /** Why the chain is broken; undefined if it is intact and the end of the log is known. */
  readonly #chainError: string | undefined;
  /** Which segment is being read. */
  #position = 0;
  /** Whether turns that are missing here were reported. */
  #isGap = true;

  /** Finds the segments of a log, and reads none. Throws OpenError if there are none. */
  constructor(table: ReadOnlyTable) {
    this.#table = table;
    const { log, state, stateError } = table;
    try {
      const identity = state ?? identityIn(log);
      try {
        const { segments } = chainOf(table, identity);
        this.#survey = { segments, missing: [], headless: new Set() };
      } catch (error) {
        if (!(error instanceof DamageError)) throw error;
        this.#chainError = error.message;
        this.#survey = survey(log, identity);
      }
      const { slotBytes } = identity;
      this.memtable = new Memtable({ log: { segmentBytes: slotBytes, recordBytes } });
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      throw new OpenError(`Cannot read ${log.path}: ${error.message}`, { cause: error });
    }
    // Without the state, nothing says where the log ended.
    if (stateError !== undefined) this.#noteLoss(undefined, stateError, undefined);
  }

  /** Reads everything. */
  static *of(table: ReadOnlyTable): Steps<Inspection> {
    const inspection = new Inspection(table);
    yield* inspection.#read();
    return inspection;
  }

  /** The path of the log. */
  get path(): string {
    return this.#table.log.path;
  }

  /** The segments; once read, with how far each can be read. */
  get segments(): readonly Segment[] {
    return this.#survey.segments;
  }

  /** The pieces of all segments, in order. */
  *pieces(): Generator<PlacedPiece> {
    let memory;
    for (const [i, segment] of this.segments.entries()) {
      const { seed, size } = segment;
      const last = this.#lastSequenceOf(i);
      if (last === segment.header.sequence) continue;
      memory = readSegment(this.#table.log, segment, memory);
      const isEndKnown = this.#chainError === undefined && !this.#table.isCut &&
        segment === this.segments.at(-1);
      const end = isEndKnown ? segment.end : size;
      for (const piece of piecesOf(memory, { seed, end, last })) yield { segment, piece };
    }
  }

  /** The sequence number of the last turn of a segment, according to the next segment; undefined if unknown. */
  #lastSequenceOf(position: number): number | undefined {
    return this.#nextTo(position)?.header.sequence;
  }

  /** The segment that follows one, if its header can be read. */
  #nextTo(position: number): Segment | undefined {
    const [segment, next] = [this.segments[position]!, this.segments[position + 1]];
    const isKnown = next?.number === segment.number + 1 && !this.#survey.headless.has(next);
    return isKnown ? next : undefined;
  }

  *#read(): Steps<void> {
    let reading: SegmentReading | undefined;
    let records = 0;
    for (const { segment, piece } of this.pieces()) {
      if (reading?.segment !== segment) {
        if (reading !== undefined) this.#leave(reading);
        reading = this.#enter(segment);
      }
      if (piece.kind === "turn") this.#takeTurn(reading, piece.turn);
      else if (piece.kind === "damage") this.#takeDamage(reading, piece);
      else if (piece.kind === "record") {
        this.#takeRecord(reading, piece);
        if (++records % STEP_RECORDS !== 0) continue;
        yield { keys: this.memtable.size, fraction: this.#position / this.segments.length };
      }
    }
    if (reading !== undefined) this.#leave(reading);
    this.#noteMissing({ from: this.segments.at(-1)?.number ?? 0 });
    this.#compareState();
    if (this.#chainError !== undefined && this.damage.length === 0) {
      this.#noteLoss(undefined, this.#chainError, undefined);
    }
  }

  #enter(segment: Segment): SegmentReading {
    while (this.segments[this.#position] !== segment) this.#position++;
    const before = this.segments[this.#position - 1]?.number ?? 0;
    this.#noteMissing({ from: before, next: segment });
    if (this.#survey.headless.has(segment)) {
      this.#note(segment.start, `the header of segment ${segment.number} can't be read`);
    }
    return {
      segment,
      index: new IndexCheck(this.#table.log, this.#nextTo(this.#position)),
      last: undefined,
      isDamaged: false,
      end: SEGMENT_HEADER_BYTES,
    };
  }

  /** Notes the segments that are missing between two. The second may have the index of the last of them. */
  #noteMissing({ from, next }: { from: number; next?: Segment }): void {
    for (const number of this.#survey.missing) {
      if (number < from || number > (next?.number ?? Infinity)) continue;
      const entries = number + 1 === next?.number ? readIndex(this.#table.log, next) : undefined;
      this.#noteLoss(
        undefined,
        `segment ${number} is missing`,
        entries && {
          changes: entries,
          place: next!.start + next!.header.index,
        },
      );
      this.#isGap = true;
    }
  }

  #takeTurn(reading: SegmentReading, turn: TurnHeader): void {
    const { sequence, version, offset, length } = turn;
    if (!this.#isGap && sequence !== this.sequence + 1) {
      const why = `turns ${this.sequence + 1} to ${sequence - 1} are missing`;
      this.#noteLoss(reading.segment.start + offset, why, undefined);
    }
    this.#isGap = false;
    this.sequence = sequence;
    this.version = Math.max(this.version, version);
    reading.last = turn;
    reading.end = offset + length;
  }

  #takeRecord(reading: SegmentReading, { offset, length, change }: RecordPiece): void {
    reading.end = Math.max(reading.end, offset + length);
    reading.index.take(offset, change);
    if (change.kind === INDEX_KIND) return;
    this.version = Math.max(this.version, change.version);
    this.#forgetLoss(change);
    makeChange(this.memtable, change, { place: reading.segment.start + offset });
    this.memtable.commit();
  }

  #takeDamage(reading: SegmentReading, { offset, end, what, change }: DamagePiece): void {
    const { segment, index } = reading;
    const place = segment.start + offset;
    reading.isDamaged = true;
    reading.end = Math.max(reading.end, end);
    if (what === "turn") this.#isGap = true;
    // The index knows what was there; without one, the record itself may name its key.
    const changes = index.within(offset, end) ?? (change === undefined ? undefined : [change]);
    const named = what === "records"
      ? []
      : changes?.filter(({ kind }) => kind !== INDEX_KIND) ?? [];
    const [first] = named;
    const others = named.length > 1 ? ` and ${named.length - 1} more` : "";
    const whose = first === undefined ? "" : `, of ${first.key}${others}`;
    const bytes = `${end - offset} bytes of segment ${segment.number}`;
    const why = `${WHAT[what]} (${bytes}${whose})`;
    this.#noteLoss(place, why, changes && { changes: named, place });
  }

  /** Notes a lost record: the one that it replaced must not be taken for the newest of its key. */
  #lose(change: Pick<Change, "kind" | "key">, place: number): void {
    this.#forgetLoss(change);
    this.#remove(change);
    this.memtable.commit();
    if (change.kind === KIND.PUT) this.lost.set(String(change.key), place);
  }

  #forgetLoss({ kind, key }: Pick<Change, "kind" | "key">): void {
    if (this.lost.size === 0) return;
    if (kind === KIND.CLEAR) this.lost.clear();
    else this.lost.delete(String(key));
  }

  #remove({ kind, key }: Pick<Change, "kind" | "key">): void {
    if (kind === KIND.CLEAR) return this.memtable.clear();
    const ref = this.memtable.find(key);
    if (ref !== NO_REF) this.memtable.remove(ref);
  }

  #leave({ segment, index, last, isDamaged, end }: SegmentReading): void {
    segment.end = end;
    if (index.isThere) this.indexes++;
    const lastSequence = this.#lastSequenceOf(this.#position);
    if (lastSequence === undefined) return;
    if (last?.sequence !== lastSequence) {
      const place = segment.start + end;
      const changes = index.within(end, Infinity);
      const why = `the end of segment ${segment.number} can't be read`;
      this.#noteLoss(place, why, changes && { changes, place });
      this.#isGap = true;
      return;
    }
    if (!isDamaged && !index.isRight) {
      this.#note(
        segment.start,
        `the index of segment ${segment.number} is not that of its records`,
      );
    }
  }

  #compareState(): void {
    const { state } = this.#table;
    if (state === undefined) return;
    const { sequence, isClosed } = state;
    const last = this.segments.at(-1);
    if (this.sequence < sequence) {
      const why = `the last turns are missing: turn ${sequence} was committed, and ` +
        `${this.sequence} is the last here`;
      this.#noteLoss(last && last.start + last.end, why, undefined);
    } else if (isClosed && this.sequence > sequence) {
      const why = `the state is older than the log: the table was closed after turn ${sequence}, ` +
        `and turn ${this.sequence} is there`;
      this.#note(undefined, why);
    }
  }

  /** Notes damage with what was lost by it, and the place that names it; undefined if nothing says what. */
  #noteLoss(offset: number | undefined, why: string, lost: Lost | undefined): void {
    if (lost === undefined) this.mayHaveLostMore = true;
    else for (const each of lost.changes) this.#lose(each, lost.place);
    this.#note(offset, why);
  }

  #note(offset: number | undefined, why: string): void {
    this.damage.push({ offset, why });
  }
}

/** Changes that are lost. */
interface Lost {
  readonly changes: readonly Pick<Change, "kind" | "key">[];
  /** Where they are named, in bytes. */
  readonly place: number;
}

/** A segment that is being read. */
interface SegmentReading {
  readonly segment: Segment;
  readonly index: IndexCheck;
  /** The last turn that can be read. */
  last: TurnHeader | undefined;
  isDamaged: boolean;
  /** How far it can be read, in bytes from its start. */
  end: number;
}
