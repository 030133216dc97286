/**
 * What the tools that read and write tables on disk have in common: they work in steps, show progress between
 * steps, and stop on Ctrl-C.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import { OpenError } from "../tables/durable/errors.ts";
import type { Steps } from "../tables/durable/inspection.ts";
import { onInterrupt, ToolError } from "./program.ts";
import type { Meter } from "./progress.ts";
import type { Flag, Flags } from "../server/settings/flags.ts";

/** The flag that says where the table is. */
export const DATA_FLAG: Flag & { hint: string; preset: string } = {
  hint: "FOLDER",
  preset: "data",
  help: "folder that holds the table",
};

/** The flags of all of them. */
export const COMMON_FLAGS = {
  quiet: { help: "show no progress" },
  help: { help: "show this and end", noVariable: true },
} as const satisfies Flags;

/** Does the steps of a piece of work; undefined if it was stopped. Throws ToolError. */
export async function runSteps<Result>(
  steps: Steps<Result>,
  meter: Meter,
): Promise<Result | undefined> {
  let isStopped = false;
  using _interrupt = onInterrupt(() => isStopped = true);
  return await withToolErrors(async () => {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      meter.done = step.value.keys;
      meter.fraction = step.value.fraction;
      await setImmediate();
      // It removes what it has begun.
      if (isStopped) return steps.return(undefined as Result) && undefined;
    }
  });
}

/** Runs a function that opens tables, and reports its errors, which say what to do. */
export async function withToolErrors<Result>(run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof OpenError)) throw error;
    throw new ToolError(error.message, { cause: error });
  }
}
