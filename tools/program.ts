/**
 * What all tools have in common: how they start and how they end. Each returns its exit code, so that
 * `main.ts` can run them and tests can call them.
 *
 * @module
 */

import process from "node:process";
import { KeylineError } from "../client/client.ts";
import { OpenError } from "../tables/durable/errors.ts";
import { printable } from "./printable.ts";
import {
  type Flags,
  type Given,
  helpText,
  readCall,
  UsageError,
} from "../server/settings/flags.ts";

/** The exit code after SIGINT, by convention. */
export const INTERRUPTED = 130;
/** Within this time after a SIGINT, another one is the same Ctrl-C, which `deno task` delivers twice. */
const SAME_SIGNAL_MS = 500;

const HELP = { help: { help: "show this and end", noVariable: true } } as const satisfies Flags;

/** A tool. */
export interface Program<Known extends Flags> {
  /** Its name in messages, as in `keyline export`. */
  readonly name: string;
  /** What it does, in a few words. */
  readonly about: string;
  /** The ways to call it. */
  readonly usage: readonly string[];
  /** Its flags besides `--help`. */
  readonly flags: Known & Flags;
  /** The names of its other arguments, all of which must be given. */
  readonly operands?: readonly string[];
  /** Whether there may be any number of these. */
  readonly isOpen?: boolean;
  /** What `--help` says after the flags, in lines. */
  readonly notes?: string;
  /** Does the work and returns the exit code. */
  run(flags: Given<Known>, operands: readonly string[]): Promise<number>;
}

/** Runs a program with these arguments, and returns its exit code. */
export type Run = (args: readonly string[]) => Promise<number>;

/** Makes a program that can be run. An error becomes a line on standard error, and exit code 2 or 1. */
export function program<const Known extends Flags>(definition: Program<Known>): Run {
  return (args) => runProgram(args, definition);
}

async function runProgram<const Known extends Flags>(
  args: readonly string[],
  { name, about, usage, flags, operands = [], isOpen = false, notes, run }: Program<Known>,
): Promise<number> {
  // What a write that fails throws is handled where it is awaited; the event would end the process.
  process.stdout.on("error", () => {});
  try {
    const known = { ...flags, ...HELP };
    const given = readCall(args, { known, operands, isOpen });
    if (given.flags.help) {
      const help = helpText(`keyline ${name}: ${about}`, { usage, flags: known });
      await writeOut(notes === undefined ? help : `${help}\n${notes}`);
      return 0;
    }
    const code = await run(given.flags as Given<Known>, given.operands);
    // A pending read of standard input would keep the process alive until more input comes.
    if (code === INTERRUPTED) process.exit(code);
    return code;
  } catch (error) {
    if (isBrokenPipe(error)) return 1;
    if (!(error instanceof Error)) throw error;
    const isKnown = [UsageError, KeylineError, OpenError, ToolError].some((known) =>
      error instanceof known
    );
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

/** The first SIGINT stops the work that takes this controller; a second one ends the process at once. */
export function interruptible(): AbortController & Disposable {
  const stopping = new AbortController();
  let lastAt = -Infinity;
  const listener = () => {
    if (performance.now() - lastAt < SAME_SIGNAL_MS) return;
    lastAt = performance.now();
    if (stopping.signal.aborted) process.exit(INTERRUPTED);
    stopping.abort();
  };
  process.on("SIGINT", listener);
  return Object.assign(stopping, { [Symbol.dispose]: () => void process.off("SIGINT", listener) });
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
