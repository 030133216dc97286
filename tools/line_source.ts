/**
 * Imports from lines of JSON, as an export writes them, on standard input.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { linesOf, textOf } from "./byte_lines.ts";
import { EntryError, entryOf } from "./export_line.ts";
import { BATCH_ITEMS_MAX, BATCH_SIZE, type Item, type ItemBatch, type Source } from "./source.ts";

/**
 * The longest line to accept, in bytes: the longest value that a server can be set to store, and three
 * times as much again for what is escaped in it.
 */
const LINE_BYTES_MAX = 268_435_456;
const MARK = Buffer.from("\ufeff");
const BLANKS = Buffer.from(" \t\r");

/** Reads entries from the lines of a stream of bytes. */
export class LineSource implements Source {
  readonly unit = "line";
  readonly #stream: AsyncIterable<Uint8Array>;
  readonly #bytes: number | undefined;
  readonly #skip: number;

  /** Reads `stream`, whose size is `bytes` if that is known, and skips its first `skip` lines. */
  constructor(
    stream: AsyncIterable<Uint8Array>,
    { bytes, skip = 0 }: { bytes?: number | undefined; skip?: number } = {},
  ) {
    this.#stream = stream;
    this.#bytes = bytes;
    this.#skip = skip;
  }

  /** Yields the entries of the lines, and what is wrong with the others. Blank lines are ignored. */
  async *batches(signal: AbortSignal): AsyncGenerator<ItemBatch, void, undefined> {
    let items: Item[] = [];
    let size = 0;
    let place = 0;
    let read = 0;
    const batch = (): ItemBatch => {
      const full = { items, fraction: this.#bytes ? read / this.#bytes : undefined };
      items = [];
      size = 0;
      return full;
    };
    for await (const lines of linesOf(this.#stream, { bytesMax: LINE_BYTES_MAX, signal })) {
      for (const line of lines) {
        if (signal.aborted) return;
        place++;
        const length = line === undefined ? LINE_BYTES_MAX : line.length;
        read += length + 1;
        const content = place === 1 ? withoutMark(line) : line;
        if (place <= this.#skip || isBlank(content)) continue;
        items.push(itemOf(content, place));
        size += length;
        if (items.length >= BATCH_ITEMS_MAX || size >= BATCH_SIZE) yield batch();
      }
    }
    if (items.length > 0) yield batch();
  }
}

/** A first line without the byte order mark that some editors put before text. */
function withoutMark(line: Buffer | undefined): Buffer | undefined {
  return line?.subarray(0, 3).equals(MARK) ? line.subarray(3) : line;
}

/** Whether a line has only what JSON treats as space. */
function isBlank(line: Buffer | undefined): boolean {
  return line !== undefined && line.every((byte) => BLANKS.includes(byte));
}

function itemOf(line: Buffer | undefined, place: number): Item {
  if (line === undefined) return { place, fault: `it is longer than ${LINE_BYTES_MAX} bytes` };
  const text = textOf(line);
  if (text === undefined) return { place, fault: "it is not UTF-8" };
  try {
    return { place, entry: entryOf(text) };
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    return { place, fault: error.message };
  }
}
