/**
 * Splits text into lines with one TextLineStream for all clients. The turn passes it whole lines only, so
 * nothing of one client remains in it for the next.
 *
 * Since the lines are whole, `text.split("\n")` would do. The stream is here because Keyline is built on
 * TextLineStream; one stream for all clients costs least, because a chunk costs as much as several lines do.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";

/** A TextLineStream with both of its ends. */
export class Splitter {
  readonly #stream = new TextLineStream();
  readonly #writer = this.#stream.writable.getWriter();
  readonly #reader = this.#stream.readable.getReader();

  /**
   * The lines of a text that consists of this many whole lines, each without its LF or CR LF. Reading all of
   * them before the first is answered lets the processor's caches serve one kind of work at a time.
   */
  async split(text: string, count: number): Promise<string[]> {
    if (count === 0) return [];
    // Read before the text is written: a stream with a waiting reader takes it at once.
    const first = this.#reader.read();
    this.#writer.write(text);
    const lines = new Array<string>(count);
    lines[0] = (await first).value!;
    for (let i = 1; i < count; i++) lines[i] = (await this.#reader.read()).value!;
    return lines;
  }
}
