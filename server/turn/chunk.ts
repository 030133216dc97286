/**
 * The lines that go through TextLineStream together. The turn fills a chunk with the lines of as many
 * connections as fit, because a chunk costs as much as several lines do.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { copyText, Memory, Text } from "../../tables/text.ts";
import { Line } from "../input/line.ts";
import { LINE_FAULTS, type Lines } from "../input/lines.ts";

/** The size of a chunk, in bytes; a longer line gets a chunk of its own. */
const CHUNK_BYTES_MAX = 32_768;
/** How many lines to split at a time: lines after the last that a connection takes are split in vain. */
const CHUNK_LINES_MAX = 1_024;
const LF = 0x0a;
const CR = 0x0d;

// The lines are valid UTF-8. ignoreBOM: a leading U+FEFF is text, and without it two keys would be one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A chunk of lines. One object serves chunk after chunk: its content is valid until the next load. */
export class Chunk {
  readonly #buffer = new Memory(CHUNK_BYTES_MAX);
  readonly #asBuffer = bufferOf(this.#buffer);
  #source = new Text(this.#buffer, 0, 0);
  #count = 0;
  #isPrintable = true;

  /** Takes in the lines of these connections, or the head of the only one. */
  load(all: readonly { readonly lines: Lines }[]): void {
    const first = headOf(all[0]!.lines);
    if (first.text.length > CHUNK_BYTES_MAX) {
      this.#source = first.text;
      this.#count = first.count;
      this.#isPrintable = first.isPrintable;
      return;
    }
    let length = 0;
    this.#count = 0;
    this.#isPrintable = true;
    for (const { lines } of all) {
      const { text, count, isPrintable } = headOf(lines);
      copyText(text, this.#buffer, length);
      length += text.length;
      this.#count += count;
      this.#isPrintable &&= isPrintable;
    }
    this.#source = new Text(this.#buffer, 0, length);
  }

  /** How many lines there are. */
  get count(): number {
    return this.#count;
  }

  /** The memory that holds the bytes. */
  get memory(): Memory {
    return this.#source.memory;
  }

  /** Where they start in it. */
  get start(): number {
    return this.#source.start;
  }

  /** The whole chunk as a string. */
  get text(): string {
    const { memory, start, end } = this.#source;
    if (!this.#isPrintable) return decoder.decode(this.#source.toBytes());
    // Nothing but ASCII, which as Latin-1 is decoded in half the time.
    const bytes = memory === this.#buffer ? this.#asBuffer : bufferOf(memory);
    return bytes.toString("latin1", start, end);
  }
}

/** The same bytes. */
function bufferOf({ bytes }: Memory): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The beginning of the line after the one that ends at this byte. */
export function lineAfter({ bytes }: Memory, end: number): number {
  return bytes[end] === CR ? end + 2 : end + 1;
}

/** The line with this index among these lines, whose text is known, and which begins at this byte. */
export function lineAt(
  { isPrintable, faults }: Lines,
  { index, text, memory, start }: { index: number; text: string; memory: Memory; start: number },
): Line {
  const end = isPrintable ? start + text.length : endOfLine(memory, start);
  return new Line(text, {
    memory,
    start,
    end,
    isPrintable,
    fault: LINE_FAULTS[faults?.[index] ?? 0],
  });
}

/**
 * Those of these arrivals that fit in one chunk, from this one on: at least one. An arrival with more lines
 * than may be split at a time gets its own chunk.
 */
export function fittingFrom<Arrival extends { readonly lines: Lines }>(
  arrivals: readonly Arrival[],
  from: number,
): readonly Arrival[] {
  let [bytes, lines] = [0, 0];
  let to = from;
  while (to < arrivals.length) {
    const arrival = arrivals[to]!.lines;
    bytes += arrival.text.length;
    lines += arrival.count;
    if ((bytes > CHUNK_BYTES_MAX || lines > CHUNK_LINES_MAX) && to > from) break;
    to++;
  }
  return to - from === arrivals.length ? arrivals : arrivals.slice(from, to);
}

/** How many of these lines may be split at a time. */
export function headCount({ count }: Lines): number {
  return Math.min(count, CHUNK_LINES_MAX);
}

/** The first of these lines, as many as may be split at a time. */
export function headOf(lines: Lines): Lines {
  if (lines.count <= CHUNK_LINES_MAX) return lines;
  const { memory, start } = lines.text;
  let end = start;
  for (let i = 0; i < CHUNK_LINES_MAX; i++) end = memory.bytes.indexOf(LF, end) + 1;
  return { ...lines, text: new Text(memory, start, end), count: CHUNK_LINES_MAX };
}

/** The remaining lines, which stay where they are; undefined if there are none. */
export function restOf(
  { text, count, isPrintable, faults }: Lines,
  { taken, from, ready }: { taken: number; from: number; ready?: Promise<unknown> | undefined },
): Lines | undefined {
  if (taken === count) return undefined;
  return {
    text: new Text(text.memory, text.start + from, text.end),
    count: count - taken,
    isPrintable,
    faults: faults?.subarray(taken),
    ready,
  };
}

/** The end of the line that begins at this byte, without its LF or CR LF. */
function endOfLine({ bytes }: Memory, from: number): number {
  const lf = bytes.indexOf(LF, from);
  return lf > from && bytes[lf - 1] === CR ? lf - 1 : lf;
}
