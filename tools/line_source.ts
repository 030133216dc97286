/**
 * An import from lines of JSON, as an export writes them: from standard input.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Entry, EntryError, entryOf } from "./record.ts";
import { type Batch, BATCH_ITEMS_MAX, BATCH_SIZE, type Item, type Source } from "./source.ts";

/** The longest line, in bytes: the longest value of the server by default, each byte as `\u0000`. */
const LINE_BYTES_MAX = 8_388_608;
const LF = 0x0a;

/** Reads entries from the lines of a stream of bytes. */
export class LineSource implements Source {
  readonly unit = "line";
  readonly #stream: AsyncIterable<Uint8Array>;
  readonly #bytes: number | undefined;
  readonly #skip: number;

  /** Reads `stream`, of `bytes` bytes where that is known, and leaves out its first `skip` lines. */
  constructor(
    stream: AsyncIterable<Uint8Array>,
    { bytes, skip = 0 }: { bytes?: number | undefined; skip?: number } = {},
  ) {
    this.#stream = stream;
    this.#bytes = bytes;
    this.#skip = skip;
  }

  /** The entries of the lines, and what is wrong with the others. Empty lines are none. */
  async *batches(signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
    let items: Item[] = [];
    let size = 0;
    let place = 0;
    let read = 0;
    const batch = (): Batch => {
      const full = { items, fraction: this.#bytes ? read / this.#bytes : undefined };
      items = [];
      size = 0;
      return full;
    };
    for await (const line of linesOf(this.#stream, signal)) {
      if (signal.aborted) return;
      place++;
      const length = line === undefined ? LINE_BYTES_MAX : line.length;
      read += length + 1;
      if (place <= this.#skip || length === 0) continue;
      items.push(itemOf(line, place));
      size += length;
      if (items.length >= BATCH_ITEMS_MAX || size >= BATCH_SIZE) yield batch();
    }
    if (items.length > 0) yield batch();
  }
}

/** Lines without their ends; undefined stands for one that is too long. */
async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Buffer | undefined, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer) => {
    length += part.length;
    // What is too long is not kept, but its end is looked for.
    if (length <= LINE_BYTES_MAX) parts.push(part);
    else parts = [];
  };
  const take = () => {
    const line = length > LINE_BYTES_MAX
      ? undefined
      : parts.length === 1
      ? parts[0]!
      : Buffer.concat(parts);
    parts = [];
    length = 0;
    return line;
  };
  for await (const chunk of until(signal, stream)) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, at)) {
      add(bytes.subarray(at, end));
      at = end + 1;
      yield take();
    }
    if (at < bytes.length) add(bytes.subarray(at));
  }
  if (length > 0) yield take();
}

/** What a stream has until a signal is aborted, even while nothing comes. */
async function* until<Chunk>(
  signal: AbortSignal,
  stream: AsyncIterable<Chunk>,
): AsyncGenerator<Chunk, void, undefined> {
  const chunks = stream[Symbol.asyncIterator]();
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  try {
    while (!signal.aborted) {
      const next = await Promise.race([chunks.next(), aborted]);
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    // Not waited for: a stream that gives nothing does not end either.
    chunks.return?.()?.catch(() => {});
  }
}

function itemOf(line: Buffer | undefined, place: number): Item {
  if (line === undefined) return { place, fault: `it is longer than ${LINE_BYTES_MAX} bytes` };
  const text = line.toString("utf8");
  if (text.includes("\ufffd") && !Buffer.from(text).equals(line)) {
    return { place, fault: "it is not UTF-8" };
  }
  try {
    const entry: Entry = entryOf(text);
    return { place, entry };
  } catch (error) {
    if (!(error instanceof EntryError)) throw error;
    return { place, fault: error.message };
  }
}
