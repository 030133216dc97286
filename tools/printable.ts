/**
 * Text that comes from a server, a source or a file, made fit for a terminal. Everything of that kind
 * passes `printable` on its way there.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/**
 * What acts on a terminal or deceives the eye: control characters but TAB, C1 among them, with which a
 * sequence can begin as well as with ESC; the marks that turn the direction of text; the ends of lines and
 * paragraphs that are not LF; and half a surrogate pair.
 */
const UNPRINTABLE =
  // deno-lint-ignore no-control-regex -- these are meant
  /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\p{Cs}/gu;

/**
 * Returns text in which each character that could act on a terminal is written as in `\u001b`. Inside a
 * string of JSON, that is the same character.
 */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Returns text as one word of the command line of `sh`, in which nothing acts on a terminal either. */
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
