/**
 * Stands in for `@std/streams/text-line-stream` if JSR can't be reached; `import_map.json` maps it here. It
 * does what that module's documentation says. `tests/offline/text_line_stream_test.ts` checks what Keyline
 * relies on, with whichever of the two is mapped.
 *
 * @module
 */

const CR = 0x0d;

/**
 * Splits a stream of text into lines, which end with LF or CR LF. Unfinished text comes out last.
 *
 * @example
 * ```ts
 * import { TextLineStream } from "@std/streams/text-line-stream";
 *
 * const lines = ReadableStream.from(["one\r\ntw", "o\n"]).pipeThrough(new TextLineStream());
 * console.log(await Array.fromAsync(lines)); // ["one", "two"]
 * ```
 */
export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    // Parts of an unfinished line, joined only once: many small chunks cost linear time.
    let parts: string[] = [];
    super({
      transform(chunk, controller) {
        let from = 0;
        for (let lf = chunk.indexOf("\n"); lf >= 0; lf = chunk.indexOf("\n", from)) {
          if (parts.length > 0) {
            parts.push(chunk.slice(from, lf));
            const line = parts.join("");
            parts = [];
            controller.enqueue(line.slice(0, endOfLine(line, line.length)));
          } else {
            controller.enqueue(chunk.slice(from, endOfLine(chunk, lf)));
          }
          from = lf + 1;
        }
        if (from < chunk.length) parts.push(chunk.slice(from));
      },
      flush(controller) {
        if (parts.length > 0) controller.enqueue(parts.join(""));
      },
    });
  }
}

/** The end of the line before this LF, without a CR. */
function endOfLine(text: string, lf: number): number {
  return text.charCodeAt(lf - 1) === CR ? lf - 1 : lf;
}
