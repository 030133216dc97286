/**
 * What the tools that read and write tables on disk have in common: they work in steps, show progress between
 * steps, and stop on Ctrl-C.
 *
 * @module
 */

import { setImmediate } from "node:timers/promises";
import type { Steps } from "../tables/durable/inspection.ts";
import { interruptible } from "./program.ts";
import type { Meter } from "./progress.ts";

/** The flag that says where the table is. */
export const DATA_FLAG = {
  hint: "FOLDER",
  preset: "data",
  help: "folder that holds the table",
} as const;

/** Does the steps of a piece of work; undefined if it was stopped. Throws OpenError. */
export async function runSteps<Result>(
  steps: Steps<Result>,
  meter: Meter,
): Promise<Result | undefined> {
  using stopping = interruptible();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    meter.done = step.value.keys;
    meter.fraction = step.value.fraction;
    await setImmediate();
    // It removes what it has begun.
    if (stopping.signal.aborted) return steps.return(undefined as Result) && undefined;
  }
}
