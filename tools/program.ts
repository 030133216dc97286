/**
 * What the programs beside the server have in common: how they end. Each returns the code that the
 * process is to end with, so that `main.ts` can start them and tests can call them.
 *
 * @module
 */

import process from "node:process";
import { KeylineError } from "../client/client.ts";
import { UsageError } from "./usage.ts";

/** The code of a process that ends because of SIGINT, by convention. */
export const INTERRUPTED = 130;

/** Runs a program; what it throws becomes a line for a person and a code: 2 for a wrong call, 1 else. */
export async function runProgram(name: string, program: () => Promise<number>): Promise<number> {
  try {
    return await program();
  } catch (error) {
    if (isBrokenPipe(error)) return 1;
    if (!(error instanceof Error)) throw error;
    const isKnown = error instanceof UsageError || error instanceof KeylineError ||
      error instanceof ToolError;
    process.stderr.write(`keyline ${name}: ${isKnown ? error.message : error.stack}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Something that keeps a program from going on; the message says what to do. */
export class ToolError extends Error {}

/** Calls `stop` on the first SIGINT. Use it with `using`; a second SIGINT ends the process at once. */
export function onInterrupt(stop: () => void): Disposable {
  let count = 0;
  let lastAt = -Infinity;
  const listener = () => {
    // Ctrl-C under `deno task` comes twice at once.
    if (performance.now() - lastAt < 500) return;
    lastAt = performance.now();
    if (++count > 1) process.exit(INTERRUPTED);
    stop();
  };
  process.on("SIGINT", listener);
  return { [Symbol.dispose]: () => process.off("SIGINT", listener) };
}

/** Writes to standard output, and waits while its reader does not keep up. */
export function writeOut(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => error ? reject(error) : resolve());
  });
}

function isBrokenPipe(error: unknown): boolean {
  return (error as { code?: string }).code === "EPIPE";
}
