/**
 * Reads back from the log, at a start, every change that the rows lack. The torn record that a crash may
 * leave at the end was never acknowledged, and is skipped; anything else that is wrong stops the start.
 *
 * @module
 */

import type { Memory } from "../text.ts";
import { type NumberedChange, readChange, sizeOfChange } from "./change.ts";
import { OpenError } from "./errors.ts";
import { type LogRecord, RECORD_ALIGNMENT, RECORD_HEADER_BYTES, recordAt } from "./log_record.ts";
import type { LogSegment, Parity } from "./log_segment.ts";

/** A change that was read back. */
export interface ReplayedChange extends NumberedChange {
  /** The segment that has it. */
  readonly parity: Parity;
  /** The turn that it was part of. */
  readonly turn: number;
}

/** The end of a log. */
export interface LogEnd {
  /** The number of its last change. */
  readonly lastChange: number;
  /** The turn of that change. */
  readonly turn: number;
  /** The segment that takes the next turn. */
  readonly active: Parity;
}

/** What one segment holds: its bytes, and its chain of records. */
interface Contents {
  readonly memory: Memory;
  readonly chain: readonly LogRecord[];
}

/** A place in the log, for messages. */
interface Place {
  readonly parity: Parity;
  readonly offset: number;
}

/** The replay of a log. */
export class LogReplay {
  readonly #segments: readonly [LogSegment, LogSegment];
  readonly #salt: number;
  /** The last change that the rows hold. */
  readonly #flushed: number;
  #lastChange: number;
  #turn: number;
  #active: Parity = 0;

  /** Prepares to read records with this salt, after the last change and turn in the rows. */
  constructor(
    segments: readonly [LogSegment, LogSegment],
    { salt, flushed, turn }: { salt: number; flushed: number; turn: number },
  ) {
    this.#segments = segments;
    this.#salt = salt;
    this.#flushed = this.#lastChange = flushed;
    this.#turn = turn;
  }

  /** Yields the changes, sets each segment to its end, and returns the end of the log. Throws OpenError. */
  *run(): Generator<ReplayedChange, LogEnd> {
    const contents = [this.#read(0), this.#read(1)] as const;
    const [first, second] = contents;
    const isInOrder = (first.chain[0]?.turn ?? 0) <= (second.chain[0]?.turn ?? 0);
    const order: Parity[] = isInOrder ? [0, 1] : [1, 0];
    // Where a record is missing before the first one of a file, it was at the end of the other file.
    let before = { parity: order[0]!, offset: 0 };
    for (const parity of order) {
      yield* this.#changesOf(contents[parity], { parity, before });
      this.#resume(parity, contents[parity].chain);
      before = { parity, offset: endOf(contents[parity].chain) };
    }
    for (const parity of order) this.#checkRest(contents[parity], parity);
    return { lastChange: this.#lastChange, turn: this.#turn, active: this.#active };
  }

  #read(parity: Parity): Contents {
    const memory = this.#segments[parity].readAll();
    return { memory, chain: chainOf(memory, this.#salt) };
  }

  *#changesOf(
    { memory, chain }: Contents,
    { parity, before }: { parity: Parity; before: Place },
  ): Generator<ReplayedChange> {
    for (const record of chain) {
      const { offset, turn, firstChange, lastChange } = record;
      if (lastChange <= this.#flushed) continue;
      this.#checkFollows(record, before);
      let at = offset + RECORD_HEADER_BYTES;
      for (let number = firstChange; number <= lastChange; number++) {
        const change = readChange(memory, at);
        at += sizeOfChange(change);
        if (number > this.#flushed) yield { ...change, number, parity, turn };
      }
      this.#turn = turn;
      this.#lastChange = lastChange;
    }
  }

  #checkFollows({ firstChange, turn }: LogRecord, { parity, offset }: Place): void {
    const isFirst = this.#lastChange === this.#flushed;
    const follows = isFirst
      ? firstChange <= this.#flushed + 1
      : firstChange === this.#lastChange + 1 && turn === this.#turn + 1;
    if (!follows) {
      throw this.#damage(parity, offset, `the changes before ${firstChange} are missing`);
    }
  }

  /** Looks for newer records after the end of a chain: the one between was whole once. */
  #checkRest({ memory, chain }: Contents, parity: Parity): void {
    const offset = endOf(chain);
    for (let at = offset; at < memory.bytes.length; at += RECORD_ALIGNMENT) {
      const found = recordAt(memory, { offset: at, salt: this.#salt, after: this.#lastChange });
      if (found === undefined) continue;
      const why = `a record can't be read, but one after it can, at byte ${at}`;
      throw this.#damage(parity, offset, why);
    }
  }

  /** Sets a segment to the end of its chain, unless the rows have all of it. */
  #resume(parity: Parity, chain: readonly LogRecord[]): void {
    const last = chain.at(-1);
    if (last === undefined || last.lastChange <= this.#flushed) return;
    const segment = this.#segments[parity];
    segment.end = endOf(chain);
    segment.lastChange = last.lastChange;
    segment.lastFound = last;
    this.#active = parity;
  }

  #damage(parity: Parity, offset: number, why: string): OpenError {
    const { path } = this.#segments[parity];
    return new OpenError(
      `Cannot open ${path}: it is damaged at byte ${offset}: ${why}. It was left as it is: restore ` +
        "a backup, or choose another folder with --data.",
    );
  }
}

/** The records from the start of a segment on, without a gap. */
function chainOf(memory: Memory, salt: number): LogRecord[] {
  const chain: LogRecord[] = [];
  for (let offset = 0;;) {
    const record = recordAt(memory, { offset, salt });
    if (record === undefined) return chain;
    const before = chain.at(-1);
    if (before !== undefined && record.turn !== before.turn + 1) return chain;
    chain.push(record);
    offset += record.length;
  }
}

function endOf(chain: readonly LogRecord[]): number {
  const last = chain.at(-1);
  return last === undefined ? 0 : last.offset + last.length;
}
