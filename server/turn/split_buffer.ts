/**
 * The lines that go through TextLineStream together. A turn fills the buffer with the lines of as many
 * connections as fit, because a chunk of the stream costs as much as several lines do.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { copyText, Memory, Text } from "../../tables/text.ts";
import type { Lines } from "../input/lines.ts";
import type { Submission } from "./submission.ts";

/** The size of the buffer, in bytes; a longer line is split on its own, where it is. */
const BUFFER_BYTES = 32_768;
/** How many lines to split at a time: lines after the last that a connection takes are split in vain. */
const SPLIT_LINES_MAX = 1_024;
const LF = 0x0a;

// The lines are valid UTF-8. ignoreBOM: a leading U+FEFF is text, and without it two keys would be one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The lines to split at a time. Its content is valid until the next load. */
export class SplitBuffer {
  readonly #buffer = new Memory(BUFFER_BYTES);
  readonly #asBuffer = bufferOf(this.#buffer);
  #source = new Text(this.#buffer, 0, 0);
  #count = 0;
  #isPrintable = true;

  /** Takes in the lines of these connections, or the head of the only one. */
  load(all: readonly Pick<Submission, "lines">[]): void {
    const first = headOf(all[0]!.lines);
    if (first.text.length > BUFFER_BYTES) {
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

  /** All of them as a string. */
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

/**
 * Those of these submissions whose lines may be split together, from this one on: at least one. A submission
 * with more lines than may be split at a time is alone.
 */
export function fittingFrom<Some extends Pick<Submission, "lines">>(
  submissions: readonly Some[],
  from: number,
): readonly Some[] {
  let [bytes, lines] = [0, 0];
  let to = from;
  while (to < submissions.length) {
    const { text, count } = submissions[to]!.lines;
    bytes += text.length;
    lines += count;
    if ((bytes > BUFFER_BYTES || lines > SPLIT_LINES_MAX) && to > from) break;
    to++;
  }
  return to - from === submissions.length ? submissions : submissions.slice(from, to);
}

/** How many of these lines may be split at a time. */
export function headCount({ count }: Lines): number {
  return Math.min(count, SPLIT_LINES_MAX);
}

/** The first of these lines, as many as may be split at a time. */
export function headOf(lines: Lines): Lines {
  if (lines.count <= SPLIT_LINES_MAX) return lines;
  const { memory, start } = lines.text;
  let end = start;
  for (let i = 0; i < SPLIT_LINES_MAX; i++) end = memory.bytes.indexOf(LF, end) + 1;
  return { ...lines, text: new Text(memory, start, end), count: SPLIT_LINES_MAX };
}
