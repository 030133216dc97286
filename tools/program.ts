/**
 * What all tools have in common: how they start and how they end. Each returns its exit code, so that
 * `main.ts` can run them and tests can call them.
 *
 * @module
 */

import process from "node:process";
import { KeylineError } from "../client/client.ts";
import { printable } from "./printable.ts";
import { type Flags, type Given, readCall, UsageError } from "../server/settings/flags.ts";

/** The exit code after SIGINT, by convention. */
export const INTERRUPTED = 130;
/** Within this time after a SIGINT, another one is the same Ctrl-C, which `deno task` delivers twice. */
const SAME_SIGNAL_MS = 500;

/** A tool. */
export interface Program<Known extends Flags> {
  /** Its name in messages, as in `keyline export`. */
  readonly name: string;
  /** Its flags, `help` among them. */
  readonly flags: Known & Flags;
  /** The names of its other arguments, all of which must be given. */
  readonly operands?: readonly string[];
  /** Whether there may be any number of these. */
  readonly isOpen?: boolean;
  /** What `--help` prints. */
  readonly help: string;
  /** Does the work and returns the exit code. */
  run(flags: Given<Known>, operands: readonly string[]): Promise<number>;
}

/**
 * Runs a program and returns its exit code. An error becomes one line on standard error and exit code 2 for a
 * wrong call, or 1 otherwise.
 */
export async function runProgram<const Known extends Flags & { help: object }>(
  args: readonly string[],
  { name, flags, operands = [], isOpen = false, help, run }: Program<Known>,
): Promise<number> {
  // What a write that fails throws is handled where it is awaited; the event would end the process.
  process.stdout.on("error", () => {});
  try {
    const given = readCall<Known>(args, { known: flags, operands, isOpen });
    if (given.flags.help) {
      await writeOut(help);
      return 0;
    }
    const code = await run(given.flags, given.operands);
    // A pending read of standard input would keep the process alive until more input comes.
    if (code === INTERRUPTED) process.exit(code);
    return code;
  } catch (error) {
    if (isBrokenPipe(error)) return 1;
    if (!(error instanceof Error)) throw error;
    const isKnown = error instanceof UsageError || error instanceof KeylineError ||
      error instanceof ToolError;
    const text = isKnown ? error.message : error.stack ?? error.message;
    for (const line of `keyline ${name}: ${text}`.split("\n")) say(line);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** An error that stops a program; the message says what to do. */
export class ToolError extends Error {}

/** Writes a line for a person to standard error. */
export function say(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** Calls `stop` on the first SIGINT; a second one ends the process at once. Use it with `using`. */
export function onInterrupt(stop: () => void): Disposable {
  let count = 0;
  let lastAt = -Infinity;
  const listener = () => {
    if (performance.now() - lastAt < SAME_SIGNAL_MS) return;
    lastAt = performance.now();
    if (++count > 1) process.exit(INTERRUPTED);
    stop();
  };
  process.on("SIGINT", listener);
  return { [Symbol.dispose]: () => process.off("SIGINT", listener) };
}

/** Writes to standard output, and waits for a slow reader. */
export function writeOut(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => error ? reject(error) : resolve());
  });
}

function isBrokenPipe(error: unknown): boolean {
  return (error as { code?: string }).code === "EPIPE";
}
