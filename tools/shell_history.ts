/**
 * The history of the shell, in a file that only its owner can read. It keeps no passwords.
 *
 * @module
 */

import { openSync, readFileSync, writeFileSync, writeSync } from "node:fs";

/** How many lines are kept. */
export const HISTORY_LINES_MAX = 1_000;
/** The longest line to keep, in characters: a pasted value may have megabytes. */
const LENGTH_MAX = 10_000;
const OWNER_ONLY = 0o600;

/** The lines typed in this run and in earlier ones. */
export class History {
  /** The lines of earlier runs, the latest first. */
  readonly lines: string[];
  /** The file, opened once, so that no permission to write is needed later. */
  readonly #file: number | undefined;

  /** Reads a file and appends to it. Without a file, or if it can't be used, nothing is kept. */
  constructor(file: string | undefined) {
    this.lines = [];
    if (file === undefined) return;
    try {
      const kept = readLines(file);
      if (kept.length > HISTORY_LINES_MAX * 2) {
        const text = kept.slice(-HISTORY_LINES_MAX).join("\n") + "\n";
        writeFileSync(file, text, { mode: OWNER_ONLY });
      }
      this.lines = kept.slice(-HISTORY_LINES_MAX).reverse();
      this.#file = openSync(file, "a", OWNER_ONLY);
    } catch {
      // A shell without a history is better than no shell.
    }
  }

  /** Appends a line, unless it gives a password or is long. */
  add(line: string): void {
    if (this.#file === undefined || !isKept(line) || line.length > LENGTH_MAX) return;
    try {
      writeSync(this.#file, `${line}\n`);
    } catch {
      // A full disk is no reason to end.
    }
  }
}

/**
 * Whether a line may be kept: it is not empty, and does not begin with AUTH, whatever follows: `AUTH=secret`
 * is not a request, but has a password in it.
 */
export function isKept(line: string): boolean {
  return line.trim() !== "" && !/^\W*AUTH/i.test(line);
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n").filter(isKept);
  } catch {
    return [];
  }
}
