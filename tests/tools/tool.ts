/**
 * Runs the programs beside the server as their tasks do, for the tests.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { ROOT } from "../support/harness.ts";

/** What came of a run. */
export interface Outcome {
  /** The exit code. */
  readonly code: number;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard error. */
  readonly stderr: string;
}

/** A program that runs, with its input open. */
export interface Running {
  /** Its process. */
  readonly child: Deno.ChildProcess;
  /** Writes to its input. */
  write(text: string | Uint8Array): Promise<void>;
  /** Ends its input. */
  closeInput(): Promise<void>;
  /** Ends its input, and waits for its end. */
  finish(): Promise<Outcome>;
}

/** The tasks that run a program. */
export type ToolTask = Exclude<keyof typeof config.tasks, "start" | "test">;

/** The arguments of Deno for a task, as `deno.json` has them. */
export function argumentsOf(task: ToolTask): string[] {
  const [, ...args] = config.tasks[task].command.split(" ");
  return args;
}

/** Starts a task's program. */
export function startTool(
  task: ToolTask,
  { args, env = {} }: { args: readonly string[]; env?: Record<string, string> },
): Running {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...argumentsOf(task), ...args],
    cwd: ROOT.pathname,
    env: { NO_COLOR: "1", DENO_NO_PROMPT: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that ends by itself does not take what is left.
  const closeInput = () => writer.close().catch(() => {});
  return {
    child,
    write: (text) => writer.write(typeof text === "string" ? new TextEncoder().encode(text) : text),
    closeInput,
    async finish() {
      await closeInput();
      const [{ code }, stdout, stderr] = await Promise.all([
        child.status,
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { code, stdout, stderr };
    },
  };
}

/** Runs a task's program to its end, with this input. */
export async function runTool(
  task: ToolTask,
  { args, input = "", env }: {
    args: readonly string[];
    input?: string | Uint8Array;
    env?: Record<string, string>;
  },
): Promise<Outcome> {
  const tool = startTool(task, { args, ...env && { env } });
  const written = input.length > 0 ? tool.write(input).catch(() => {}) : Promise.resolve();
  const outcome = tool.finish();
  await written;
  return await outcome;
}
