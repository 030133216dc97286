/**
 * Makes text from a server, a source or a file safe for a terminal. All such text passes through `printable`
 * on its way there.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/**
 * What controls a terminal or deceives the eye: control characters except TAB, including C1, which can begin
 * a sequence as ESC does; marks that change the direction of text; line and paragraph separators other than
 * LF; and halves of surrogate pairs.
 */
const UNPRINTABLE =
  // deno-lint-ignore no-control-regex -- these are meant
  /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Cs}/gu;

/**
 * Returns text in which each character that could control a terminal is escaped, as in `\u001b`. Inside a
 * JSON string, that is the same character.
 */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Returns text as one word of a command line for `sh`, in which nothing controls a terminal either. */
export function quoted(text: string): string {
  if (/^[\w.:/@%+=-]+$/.test(text)) return text;
  if (printable(text) === text) return `'${text.replaceAll("'", `'\\''`)}'`;
  const escaped = text.replace(/[\\']/g, "\\$&").replace(
    UNPRINTABLE,
    (character) =>
      Buffer.from(character).reduce(
        (word, byte) => `${word}\\${byte.toString(8).padStart(3, "0")}`,
        "",
      ),
  );
  return `$'${escaped}'`;
}
