/**
 * Splits text into lines with one TextLineStream for all clients. The turn gives it whole lines only, so
 * nothing of one client stays in it for the next.
 *
 * Since the lines are whole, `text.split("\n")` would do. The stream is here because Keyline is built on
 * TextLineStream; one for all clients costs the least, because a chunk costs as much as several lines do.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";

/** A TextLineStream with both of its ends. */
export class Splitter {
  readonly #stream = new TextLineStream();
  readonly #writer = this.#stream.writable.getWriter();
  readonly #reader = this.#stream.readable.getReader();

  /** Takes whole lines. */
  write(lines: string): void {
    this.#writer.write(lines);
  }

  /** The next line, without its LF or CR LF. */
  next(): Promise<ReadableStreamReadResult<string>> {
    return this.#reader.read();
  }
}
