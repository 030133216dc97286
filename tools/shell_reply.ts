/**
 * Formats replies for the shell, and maps them to exit codes.
 *
 * @module
 */

import type { Reply } from "../client/client.ts";
import { printable } from "./printable.ts";

/** How a reply is shown on a terminal. */
export interface ReplyStyle {
  /** Whether the terminal has colors. */
  readonly hasColors: boolean;
  /** How long the reply took, in milliseconds. */
  readonly milliseconds: number;
}

/**
 * The requests for lists that may be empty: by its reply, an empty list can't be distinguished from a
 * number.
 */
const LISTS = /^ *(KEYS|CLIENTS)( |$)/i;
const RESET = "\x1b[0m";
const DIM = "\x1b[2m";
/** The color of each exit code: green, yellow, red, red. */
const COLORS = ["\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[31m"];

/** Returns the exit code for a reply: 0 for 200, 1 for 404 and 409, 3 for 5xx, 2 for any other. */
export function codeOf({ code }: Reply): number {
  if (code === 200) return 0;
  if (code === 404 || code === 409) return 1;
  return code >= 500 ? 3 : 2;
}

/** What to print for a reply. */
export interface Printed {
  /** What goes to standard output. */
  readonly text: string;
  /** What goes to standard error, for people. */
  readonly note: string;
  /** The exit code. */
  readonly code: number;
}

/** The request of a reply, and where the output goes. */
export interface Asked {
  /** The request. */
  readonly line: string;
  /** Whether standard output is a terminal, which no reply may control. */
  readonly isTerminal: boolean;
}

/** Returns a reply as the server sent it. */
export function plainReply(reply: Reply, { isTerminal }: Asked): Printed {
  return { text: textOf(linesOf(reply), isTerminal), note: "", code: codeOf(reply) };
}

/**
 * Returns the result of a request, without codes: the text after `200 OK`, or the lines of a list. A reply
 * that is not a success becomes a note, and so does anything in a list's last line besides the number of its
 * lines.
 */
export function valueReply(reply: Reply, { line, isTerminal }: Asked): Printed {
  const code = codeOf(reply);
  if (code !== 0) return { text: "", note: textOf(linesOf(reply), true), code };
  const { text, lines } = reply;
  const rest = text.replace(/^OK ?/, "");
  if (lines.length === 0 && !LISTS.test(line)) {
    return { text: textOf([rest || text], isTerminal), note: "", code };
  }
  const says = rest === String(lines.length) ? "" : rest;
  return { text: textOf(lines, isTerminal), note: textOf(says ? [says] : [], true), code };
}

/** The lines of a reply, as the server sent them. */
function linesOf({ code, text, lines }: Reply): string[] {
  return [...lines.map((line) => `${code}-${line}`), `${code} ${text}`];
}

function textOf(lines: readonly string[], isTerminal: boolean): string {
  return lines.map((line) => `${isTerminal ? printable(line) : line}\n`).join("");
}

/** Returns the lines of a reply, safe to show on a terminal. */
export function shownReply(reply: Reply, { hasColors, milliseconds }: ReplyStyle): string[] {
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
