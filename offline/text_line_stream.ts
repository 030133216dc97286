/**
 * Stands in for `@std/streams/text-line-stream` where JSR can't be reached: `import_map.json` maps it
 * here. It does what the documentation of that module says, and `tests/system/offline_test.ts` holds whichever
 * of the two is mapped to what we rely on.
 *
 * @module
 */

/**
 * Splits a stream of text into lines. A line ends with LF or CR LF; what ends no line comes out last.
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
    // Parts of a line that has not ended: joined once, so that many small chunks cost linear time.
    let parts: string[] = [];
    super({
      transform(chunk, controller) {
        let from = 0;
        for (let lf = chunk.indexOf("\n"); lf >= 0; lf = chunk.indexOf("\n", from)) {
          let line = chunk.slice(from, lf);
          if (parts.length > 0) {
            line = parts.join("") + line;
            parts = [];
          }
          controller.enqueue(line.endsWith("\r") ? line.slice(0, -1) : line);
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
