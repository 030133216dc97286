/**
 * Formats replies for the shell, and maps them to exit codes.
 *
 * @module
 */

import type { Reply } from "../client/client.ts";

/** How a reply is shown on a terminal. */
export interface View {
  /** Whether the terminal has colors. */
  readonly hasColors: boolean;
  /** How long the reply took, in milliseconds. */
  readonly milliseconds: number;
}

const RESET = "\x1b[0m";
const DIM = "\x1b[2m";
/** The color of each exit code: green, yellow, red, red. */
const COLORS = ["\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[31m"];
// deno-lint-ignore no-control-regex -- what could move the cursor, or worse
const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** Returns the exit code for a reply: 0 for 200, 1 for 404 and 409, 3 for 5xx, 2 for any other. */
export function codeOf({ code }: Reply): number {
  if (code === 200) return 0;
  if (code === 404 || code === 409) return 1;
  return code >= 500 ? 3 : 2;
}

/** Returns the worse of two exit codes. */
export function worse(one: number, other: number): number {
  return Math.max(one, other);
}

/** Returns a reply as the server sent it, with its exit code. */
export function plainReply(reply: Reply): { text: string; code: number } {
  const { code, text, lines } = reply;
  const all = [...lines.map((line) => `${code}-${line}\n`), `${code} ${text}\n`];
  return { text: all.join(""), code: codeOf(reply) };
}

/** Returns the lines of a reply for a terminal, none of which can act on the terminal. */
export function shownReply(reply: Reply, { hasColors, milliseconds }: View): string[] {
  const { code, text, lines } = reply;
  const color = hasColors ? COLORS[codeOf(reply)]! : "";
  const [dim, reset] = hasColors ? [DIM, RESET] : ["", ""];
  const took = `${dim}(${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms)${reset}`;
  return [
    ...lines.map((line) => `${dim}${code}-${reset}${printable(line)}`),
    `${color}${code}${reset} ${printable(text)}  ${took}`,
  ];
}

/** Returns an error that is not a reply, for a terminal. */
export function shownError(message: string, { hasColors }: { hasColors: boolean }): string {
  return hasColors ? `${COLORS[3]}${printable(message)}${RESET}` : printable(message);
}

/** Returns text with its control characters made visible, as in `\x1b`, so that none acts on a terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return hex.length > 2 ? `\\u${hex}` : `\\x${hex.padStart(2, "0")}`;
  });
}
