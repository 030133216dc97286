/**
 * Formats replies for the shell, and maps them to exit codes.
 *
 * @module
 */

import type { Reply } from "../client/client.ts";
import { printable } from "./printable.ts";

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

/** Returns a reply with its exit code: as the server sent it, or made fit for a terminal. */
export function plainReply(
  reply: Reply,
  { isTerminal }: { isTerminal: boolean },
): { text: string; code: number } {
  const { code, text, lines } = reply;
  const all = [...lines.map((line) => `${code}-${line}`), `${code} ${text}`];
  const shown = isTerminal ? all.map(printable) : all;
  return { text: `${shown.join("\n")}\n`, code: codeOf(reply) };
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
