/**
 * Makes requests of lines some way ahead of answering them. The table is told their keys, so that the
 * processor can fetch what they need from memory all at once instead of waiting for each.
 *
 * @module
 */

import type { Table } from "../../tables/table.ts";
import type { Text } from "../../tables/text.ts";
import { keyOf, type Request } from "../dispatch/request.ts";
import type { Line } from "../input/line.ts";
import { lineAfter, lineAt, type Lines } from "../input/lines.ts";
import type { SplitBuffer } from "./split_buffer.ts";
import type { Submission } from "./submission.ts";

/** How many requests to make at a time: with more, the first would leave the caches before it is answered. */
const REQUESTS_AHEAD = 64;

/** The requests of the lines that the buffer holds, load after load. */
export class LookAhead {
  readonly #table: Pick<Table, "prefetch" | "readAhead">;
  readonly #buffer: SplitBuffer;
  #submissions: readonly Submission<"prepare">[] = [];
  #texts: readonly string[] = [];
  /** The requests that were made last, and the index in the buffer of the first of them. */
  #requests: Request[] = [];
  #first = 0;
  /** For requests whose values are only on disk: when they will be in memory. */
  #reads = new Map<number, Promise<void>>();
  /** The next line: of which submission, which of its lines, and where in the buffer's memory. */
  #submission = 0;
  #line = 0;
  #start = 0;

  /** Reads the lines from this buffer, and tells this table their keys. */
  constructor(buffer: SplitBuffer, table: Pick<Table, "prefetch" | "readAhead">) {
    this.#buffer = buffer;
    this.#table = table;
  }

  /** Begins with the lines of these submissions, which the buffer holds, and which are these texts. */
  begin(submissions: readonly Submission<"prepare">[], texts: readonly string[]): void {
    this.#submissions = submissions;
    this.#texts = texts;
    this.#requests = [];
    this.#first = 0;
    this.#submission = 0;
    this.#line = 0;
    this.#start = this.#buffer.start;
  }

  /** The request of this line, by its index in the buffer. Ask in order; any may be left out. */
  at(index: number): Request {
    while (index >= this.#first + this.#requests.length) this.#prepareNext();
    return this.#requests[index - this.#first]!;
  }

  /**
   * When the value that this request asks for will be in memory, and with it those that are being read for the
   * requests after it, up to an index; undefined if this one has nothing to wait for.
   */
  readsAt(index: number, to: number): Promise<unknown> | undefined {
    if (this.#reads.size === 0 || !this.#reads.has(index)) return undefined;
    const reads: Promise<void>[] = [];
    for (const [i, read] of this.#reads) if (i >= index && i < to) reads.push(read);
    return Promise.all(reads);
  }

  #prepareNext(): void {
    this.#first += this.#requests.length;
    const count = Math.min(REQUESTS_AHEAD, this.#texts.length - this.#first);
    const requests = new Array<Request>(count);
    const keys: Text[] = [];
    for (let i = 0; i < count; i++) {
      while (this.#line === this.#submissions[this.#submission]!.lines.count) {
        this.#submission++;
        this.#line = 0;
      }
      const { session, lines } = this.#submissions[this.#submission]!;
      const request = session.prepare(this.#lineOf(lines, this.#texts[this.#first + i]!));
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

  /** The next line of a submission. */
  #lineOf(lines: Lines, text: string): Line {
    const { memory } = this.#buffer;
    const line = lineAt(lines, { index: this.#line, text, memory, start: this.#start });
    this.#line++;
    this.#start = lineAfter(memory, line.end);
    return line;
  }
}
