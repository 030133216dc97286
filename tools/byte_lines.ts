/**
 * Splits a stream of bytes into lines, without a decoder that would replace bytes that are not UTF-8.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** How lines are read. */
export interface LineOptions {
  /** The longest line to accept, in bytes. */
  readonly bytesMax: number;
  /** Ends the lines. */
  readonly signal?: AbortSignal;
}

const LF = 0x0a;

/**
 * Yields the lines that each chunk of a stream completes, without their LF, and finally a last one without
 * LF. `undefined` stands for a line that is too long.
 */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  { bytesMax, signal }: LineOptions,
): AsyncGenerator<(Buffer | undefined)[], void, undefined> {
  const partial = new PartialLine(bytesMax);
  for await (const chunk of signal === undefined ? stream : until(signal, stream)) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: (Buffer | undefined)[] = [];
    let at = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, at)) {
      partial.add(bytes.subarray(at, end));
      lines.push(partial.take());
      at = end + 1;
    }
    if (at < bytes.length) partial.add(bytes.subarray(at));
    yield lines;
  }
  if (partial.length > 0) yield [partial.take()];
}

/** Returns bytes as text, or undefined if they are not UTF-8. */
export function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  // Bytes that are not UTF-8 turn into this character, which may also be there as such.
  return text.includes("\ufffd") && !Buffer.from(text).equals(bytes) ? undefined : text;
}

/** A line whose end has not arrived. */
class PartialLine {
  length = 0;
  #parts: Buffer[] = [];
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(part: Buffer): void {
    this.length += part.length;
    // The bytes of a line that is too long are dropped; only its end matters.
    if (this.length <= this.#bytesMax) this.#parts.push(part);
    else this.#parts = [];
  }

  take(): Buffer | undefined {
    const [first, ...others] = this.#parts;
    const isTooLong = this.length > this.#bytesMax;
    const line = first !== undefined && others.length === 0 ? first : Buffer.concat(this.#parts);
    this.#parts = [];
    this.length = 0;
    return isTooLong ? undefined : line;
  }
}

/** Passes a stream on until a signal aborts, even while nothing arrives. */
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
    // Not awaited: a stream that gives nothing does not end either.
    chunks.return?.()?.catch(() => {});
  }
}
