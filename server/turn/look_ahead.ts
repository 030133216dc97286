/**
 * Makes requests of a chunk's lines some way ahead of answering them. The table is told their keys, so that
 * the processor can fetch what they need from memory all at once instead of waiting for each.
 *
 * @module
 */

import type { Table } from "../../tables/table.ts";
import type { Text } from "../../tables/text.ts";
import { keyOf, type Request } from "../dispatch/request.ts";
import type { Line } from "../input/line.ts";
import type { Lines } from "../input/lines.ts";
import { type Chunk, lineAfter, lineAt } from "./chunk.ts";

/** Lines, and whose they are. */
export interface Arrival {
  /** Makes requests of the lines, before those that come earlier are answered. */
  readonly member: { prepare(line: Line): Request };
  /** The lines. */
  readonly lines: Lines;
}

/** How many requests to make at a time: with more, the first would leave the caches before it is answered. */
const REQUESTS_AHEAD = 64;

/** The requests of one chunk after another. */
export class LookAhead {
  readonly #table: Pick<Table, "prefetch" | "readAhead">;
  readonly #chunk: Chunk;
  #arrivals: readonly Arrival[] = [];
  #texts: readonly string[] = [];
  /** The requests that were made last, and the index in the chunk of the first of them. */
  #requests: Request[] = [];
  #first = 0;
  /** For requests whose values are only on disk: when they will be in memory. */
  #reads = new Map<number, Promise<void>>();
  /** The next line: of which arrival, which of its lines, and where in the chunk's memory. */
  #arrival = 0;
  #line = 0;
  #start = 0;

  /** Reads the lines from this chunk, and tells this table their keys. */
  constructor(chunk: Chunk, table: Pick<Table, "prefetch" | "readAhead">) {
    this.#chunk = chunk;
    this.#table = table;
  }

  /** Begins with the lines of these arrivals, which the chunk holds, and which are these texts. */
  begin(arrivals: readonly Arrival[], texts: readonly string[]): void {
    this.#arrivals = arrivals;
    this.#texts = texts;
    this.#requests = [];
    this.#first = 0;
    this.#arrival = 0;
    this.#line = 0;
    this.#start = this.#chunk.start;
  }

  /** The request of this line, by its index in the chunk. Ask in order; any may be left out. */
  at(index: number): Request {
    while (index >= this.#next) this.#prepareNext();
    return this.#requests[index - this.#first]!;
  }

  /**
   * When the value that this request asks for will be in memory, and those that were begun to be read for the
   * ones after it, up to an index; undefined if this one has nothing to wait for.
   */
  readsAt(index: number, to: number): Promise<unknown> | undefined {
    if (!this.#reads.has(index)) return undefined;
    const reads: (Promise<void> | undefined)[] = [];
    for (let i = index; i < to && i < this.#next; i++) reads.push(this.#reads.get(i));
    return Promise.all(reads);
  }

  /** The index of the first line of which no request was made yet. */
  get #next(): number {
    return this.#first + this.#requests.length;
  }

  #prepareNext(): void {
    this.#first = this.#next;
    const count = Math.min(REQUESTS_AHEAD, this.#texts.length - this.#first);
    const requests = new Array<Request>(count);
    const keys: Text[] = [];
    for (let i = 0; i < count; i++) {
      while (this.#line === this.#arrivals[this.#arrival]!.lines.count) {
        this.#arrival++;
        this.#line = 0;
      }
      const { member, lines } = this.#arrivals[this.#arrival]!;
      const request = member.prepare(this.#lineOf(lines, this.#texts[this.#first + i]!));
      requests[i] = request;
      const key = keyOf(request);
      if (key !== undefined) keys.push(key);
    }
    this.#requests = requests;
    if (keys.length > 1) this.#table.prefetch(keys);
    if (this.#reads.size > 0) this.#reads.clear();
    if (this.#table.readAhead !== undefined) this.#readAhead();
  }

  /** Begins to read the values that the requests ask for and that are only on disk. */
  #readAhead(): void {
    for (let i = 0; i < this.#requests.length; i++) {
      const request = this.#requests[i]!;
      if (request.operation?.command.readsValue !== true) continue;
      const key = keyOf(request);
      const read = key && this.#table.readAhead!(key);
      if (read !== undefined) this.#reads.set(this.#first + i, read);
    }
  }

  /** The next line of an arrival. */
  #lineOf(lines: Lines, text: string): Line {
    const { memory } = this.#chunk;
    const line = lineAt(lines, { index: this.#line, text, memory, start: this.#start });
    this.#line++;
    this.#start = lineAfter(memory, line.end);
    return line;
  }
}
