/**
 * The turn: all lines that arrive in one turn of the event loop are split and answered, then the table
 * commits once, then all their replies leave, one write for each connection.
 *
 * Group commit and the gathering of replies are this one mechanism. It makes `200 OK` durable and fast at
 * once, and since replies to reads wait for the same commit, nobody ever sees a value that a crash could
 * still take back. Connections submit their lines to it; it calls them back with each line, then the
 * table, then the connections again.
 *
 * @module
 */

import { Memory, Text } from "../tables/text.ts";
import { type Table, TableError } from "../tables/table.ts";
import { Crowd } from "./crowd.ts";
import type { Figures } from "./figures.ts";
import type { Lines } from "./lines.ts";
import { BUSY_MS_MAX, pause } from "./pause.ts";
import { type Reply, serverError } from "./reply.ts";
import { Line } from "./request.ts";
import { Splitter } from "./splitter.ts";

/** A connection, as the turn sees it. */
export interface Member {
  /** Answers a line. False: it takes no more of them for now. */
  answer(line: Line): boolean;
  /** Lets the replies of this turn leave. Where `failure` is given, it takes the place of each. */
  release(failure?: Reply): void;
}

/** Lines that wait for their turn. */
interface Arrival {
  readonly member: Member;
  readonly lines: Lines;
  readonly resolve: (rest: Lines | undefined) => void;
}

/** So many bytes of lines are decoded and split at a time; longer lines are by themselves. */
const CHUNK_BYTES_MAX = 32_768;
/** So many lines are split at a time: who stops before the last has split the others in vain. */
const CHUNK_LINES_MAX = 1_024;
/** After how many lines to look whether the turn has been busy for long. */
const LINES_A_LOOK = 32;
const LF = 0x0a;
const CR = 0x0d;

// The lines are valid UTF-8. ignoreBOM: a leading U+FEFF is text, and two keys would be one without it.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The turns of a server, one after the other. */
export class Turn {
  readonly #table: Table;
  readonly #figures: Figures;
  readonly #onFatal: (error: unknown) => void;
  readonly #crowd: Crowd;
  readonly #splitter = new Splitter();
  readonly #chunk = new Memory(CHUNK_BYTES_MAX);
  readonly #line = new Line();
  #arrivals: Arrival[] = [];
  #isRunning = false;
  /** Since when the turn has been busy without a pause for the others. */
  #busySince = 0;

  /** `onFatal` is called after the replies where the table can't go on: the server must end. */
  constructor(
    { table, figures, onFatal }: {
      table: Table;
      figures: Figures;
      onFatal: (error: unknown) => void;
    },
  ) {
    this.#table = table;
    this.#figures = figures;
    this.#onFatal = onFatal;
    this.#crowd = new Crowd(figures);
  }

  /**
   * Answers the lines of a connection, commits, and releases their replies. Resolves with the lines that
   * it did not take, where it stopped before the last.
   */
  submit(member: Member, lines: Lines): Promise<Lines | undefined> {
    return new Promise((resolve) => {
      this.#arrivals.push({ member, lines, resolve });
      if (this.#isRunning) return;
      this.#isRunning = true;
      // The others whose bytes have come in the same turn of the event loop submit theirs before.
      queueMicrotask(() => this.#run());
    });
  }

  /** For a member: until the others have had their turn; undefined where none of them waits for another. */
  get others(): Promise<void> | undefined {
    return this.#crowd.others;
  }

  async #run(): Promise<void> {
    this.#busySince = performance.now();
    while (this.#arrivals.length > 0) {
      const arrivals = this.#arrivals;
      this.#arrivals = [];
      let done = 0;
      while (done < arrivals.length) {
        const first = done;
        const rests: (Lines | undefined)[] = [];
        do {
          const chunk = takeChunk(arrivals, done);
          await this.#answerChunk(chunk, rests);
          done += chunk.length;
        } while (done < arrivals.length && !this.#isLong);
        this.#end(arrivals.slice(first, done), rests);
        // Those that have more submit it now, and belong to the same stretch of work.
        if (rests.some((rest) => rest !== undefined)) await undefined;
        if (this.#isLong) {
          await pause();
          this.#busySince = performance.now();
        }
      }
    }
    this.#isRunning = false;
  }

  /** Answers the lines of some members, and notes what each did not take. */
  async #answerChunk(chunk: readonly Arrival[], rests: (Lines | undefined)[]): Promise<void> {
    const source = this.#load(chunk);
    this.#splitter.write(decoder.decode(source.toBytes()));
    const { memory } = source;
    const line = this.#line;
    let start = 0;
    for (const { member, lines: all } of chunk) {
      const lines = headOf(all);
      const { isPrintable, faults, count } = lines;
      line.isPrintable = isPrintable;
      let at = start;
      let rest: Lines | undefined;
      for (let i = 0; i < count; i++) {
        const text = (await this.#splitter.next()).value!;
        if (rest !== undefined) continue;
        const end = isPrintable ? at + text.length : endOfLine(memory.bytes, at);
        line.read(text, { memory, start: at, end });
        line.fault = faults?.get(i);
        at = memory.bytes[end] === CR ? end + 2 : end + 1;
        const isTaking = member.answer(line) &&
          (i % LINES_A_LOOK !== LINES_A_LOOK - 1 || !this.#isLong);
        if (!isTaking || i === count - 1) rest = restOf(all, { taken: i + 1, from: at - start });
      }
      rests.push(rest);
      start += lines.bytes.length;
    }
  }

  /** Puts the lines of a chunk together. */
  #load(chunk: readonly Arrival[]): Text {
    const first = headOf(chunk[0]!.lines).bytes;
    if (first.length > CHUNK_BYTES_MAX) return Text.from(first);
    let length = 0;
    for (const { lines } of chunk) {
      const { bytes } = headOf(lines);
      this.#chunk.bytes.set(bytes, length);
      length += bytes.length;
    }
    return new Text(this.#chunk, 0, length);
  }

  #end(arrivals: readonly Arrival[], rests: readonly (Lines | undefined)[]): void {
    this.#crowd.noteTurn(arrivals.length);
    const error = this.#commit();
    const failure = error && serverError(error.message);
    for (let i = 0; i < arrivals.length; i++) {
      const { member, resolve } = arrivals[i]!;
      member.release(failure);
      resolve(rests[i]);
    }
    if (error?.fatal) this.#onFatal(error);
  }

  /** Commits; returns what went wrong, after which the table is as it was before the turn. */
  #commit(): TableError | undefined {
    const begun = performance.now();
    try {
      if (this.#table.commit()) this.#figures.countCommit(performance.now() - begun);
      return undefined;
    } catch (error) {
      console.error("Cannot commit:", error);
      // What is no fault of the disk is a mistake of ours: it must not end the server for everybody.
      return error instanceof TableError ? error : new TableError("internal error");
    }
  }

  /** Whether the turn has kept the server busy for so long that the event loop must go on. */
  get #isLong(): boolean {
    return performance.now() - this.#busySince > BUSY_MS_MAX;
  }
}

/** As many arrivals as fit in a chunk, from this one on: at least one. */
function takeChunk(arrivals: readonly Arrival[], from: number): Arrival[] {
  let [bytes, count] = [0, 0];
  let to = from;
  while (to < arrivals.length) {
    const { lines } = arrivals[to]!;
    bytes += lines.bytes.length;
    count += lines.count;
    if ((bytes > CHUNK_BYTES_MAX || count > CHUNK_LINES_MAX) && to > from) break;
    to++;
  }
  return arrivals.slice(from, to);
}

/** The first of some lines: as many as may be split at a time. */
function headOf(lines: Lines): Lines {
  if (lines.count <= CHUNK_LINES_MAX) return lines;
  let end = 0;
  for (let i = 0; i < CHUNK_LINES_MAX; i++) end = lines.bytes.indexOf(LF, end) + 1;
  return { ...lines, bytes: lines.bytes.subarray(0, end), count: CHUNK_LINES_MAX };
}

/** What is left of some lines, in memory of its own; undefined where nothing is. */
function restOf(
  { bytes, count, isPrintable, faults }: Lines,
  { taken, from }: { taken: number; from: number },
): Lines | undefined {
  if (taken === count) return undefined;
  const left = faults && new Map([...faults].map(([i, fault]) => [i - taken, fault]));
  return { bytes: bytes.slice(from), count: count - taken, isPrintable, faults: left };
}

/** Where the line from this byte on ends, its CR LF or LF left out. */
function endOfLine(bytes: Uint8Array, from: number): number {
  const lf = bytes.indexOf(LF, from);
  return lf > from && bytes[lf - 1] === CR ? lf - 1 : lf;
}
