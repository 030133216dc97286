/**
 * Splits text into lines, by one TextLineStream for all clients. The turn calls it with whole lines alone,
 * so that nothing of one client is left in it for the next.
 *
 * What many clients send at once goes through it as one chunk, because a chunk takes as long as several
 * lines do.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";

/** A TextLineStream that is written to and read from. */
export class Splitter {
  readonly #stream = new TextLineStream();
  readonly #writer = this.#stream.writable.getWriter();
  readonly #reader = this.#stream.readable.getReader();

  /** Takes whole lines. */
  write(lines: string): void {
    this.#writer.write(lines);
  }

  /** The next of the lines that were written, without its end. */
  next(): Promise<ReadableStreamReadResult<string>> {
    return this.#reader.read();
  }
}
