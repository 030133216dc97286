/**
 * The shell: a prompt for a running server, with history, completion and hints. If input or output is not a
 * terminal, or one that can't move its cursor, it just sends lines and prints replies; with a request as
 * arguments, it sends that one and prints its result. Run it with `deno task shell`, or as `keyline shell`.
 *
 * @module
 */

import process from "node:process";
import { type Client, KeylineError } from "../client/client.ts";
import { linesOf, textOf } from "./byte_lines.ts";
import { program, type Run, say, ToolError, writeOut } from "./program.ts";
import { History } from "./shell_history.ts";
import { Prompt } from "./shell_prompt.ts";
import { plainReply, valueReply } from "./shell_reply.ts";
import { nameOf, reach, type Target, TARGET_FLAGS, targetOf } from "./target.ts";
import type { Flags } from "../server/settings/flags.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  history: {
    hint: "FILE",
    help: "where the history is kept [.keyline_history in the home folder]",
  },
  "no-history": { help: "keep no history" },
} as const satisfies Flags;

const NOTES = `\
On a terminal, Tab completes verbs and keys, the arrows recall earlier lines, Ctrl-C clears the line or
stops waiting for a reply, and Ctrl-D ends the shell. The exit code is that of the last reply. With the
variable NO_COLOR there are no colors.

With a request behind the options, that one is sent, and what it asks for is printed: the value, the number,
or the lines; for a request that asks for nothing, OK. Any other reply goes to standard error.

Otherwise, each line of input is sent, and each reply printed as it is. The exit code is the highest that a
reply comes to: 0 for 200; 1 for 404 and 409; 2 for 220, 400 and 401; 3 for 500, 503 and no reply.
`;
/** How many requests are in flight at a time, if input is not a terminal. */
const WINDOW = { min: 16, max: 1_000 };
/**
 * How many bytes these requests have in total, give or take one request, and about how many their replies
 * have.
 */
const WINDOW_SIZE = 4_194_304;
/** How many characters are printed at once, give or take a reply. */
const WRITE_SIZE = 65_536;
/** The longest line to send, in bytes, which is the longest that a server can be set to take. */
const LINE_BYTES_MAX = 67_108_864;

/** The result of a line of input. */
interface Outcome {
  /** What goes to standard output. */
  readonly text: string;
  /** The exit code. */
  readonly code: number;
}

/** Runs the shell; returns the exit code. */
export const runShell: Run = program({
  name: "shell",
  about: "talk to a running server",
  usage: [
    "keyline shell [options]",
    "keyline shell [options] GET greeting",
    "echo 'GET greeting' | keyline shell [options]",
  ],
  flags: FLAGS,
  operands: ["REQUEST"],
  isOpen: true,
  notes: NOTES,
  async run(flags, request) {
    const target = await targetOf(flags);
    const reached = await tryToReach(target);
    if (typeof reached === "number") return reached;
    await using db = reached;
    if (request.length > 0) {
      giveUp(["read", "write", "env"]);
      const { text, code } = await askPlain(db, request.join(" "), valueReply);
      await writeOut(text);
      return code;
    }
    const { stdin, stdout, env } = process;
    const isDumb = env.TERM === "dumb";
    if (!stdin.isTTY || !stdout.isTTY || isDumb) {
      giveUp(["read", "write", "env"]);
      const prompt = stdin.isTTY && stdout.isTTY ? `${nameOf(target)}> ` : "";
      return await runPlain(db, prompt);
    }
    const home = env.HOME;
    const file = flags.history ?? (home ? `${home}/.keyline_history` : undefined);
    const history = new History(flags["no-history"] ? undefined : file);
    const hasColors = !env.NO_COLOR;
    giveUp(["write"]);
    const prompt = await Prompt.open(db, { target, history, hasColors });
    return await prompt.run();
  },
});

/** Connects; returns the exit code if that fails. */
async function tryToReach(target: Target): Promise<Client | number> {
  try {
    return await reach(target);
  } catch (error) {
    if (!(error instanceof KeylineError || error instanceof ToolError)) throw error;
    say(`keyline shell: ${error.message}`);
    return error instanceof ToolError ? 2 : 3;
  }
}

/**
 * Sends each line of standard input, and prints each reply; returns the worst of the exit codes. `prompt` is
 * for a terminal that can't move its cursor, and otherwise empty.
 */
async function runPlain(db: Client, prompt: string): Promise<number> {
  let worst = 0;
  let place = 0;
  const inFlight: Promise<Outcome>[] = [];
  let size = 0;
  let window = WINDOW.min;
  const finish = async () => {
    const count = inFlight.length;
    if (count === 0) return;
    let replied = 0;
    let printed = "";
    for (let next = inFlight.shift(); next !== undefined; next = inFlight.shift()) {
      const { text, code } = await next;
      worst = Math.max(worst, code);
      replied += text.length;
      printed += text;
      if (printed.length < WRITE_SIZE) continue;
      await writeOut(printed);
      printed = "";
    }
    await writeOut(printed);
    // Nobody knows how long replies are before they are there, but the next ones are likely to be as long.
    const fits = Math.floor(count * WINDOW_SIZE / Math.max(1, replied));
    window = Math.max(1, Math.min(fits, window * 2, WINDOW.max));
    size = 0;
  };
  await writeOut(prompt);
  for await (const lines of linesOf(process.stdin, { bytesMax: LINE_BYTES_MAX })) {
    for (const bytes of lines) {
      place++;
      const line = bytes && textOf(bytes)?.replace(/\r$/, "");
      if (line !== undefined && /^ *(QUIT|EXIT) *$/i.test(line)) {
        await finish();
        return worst;
      }
      if (line?.trim() === "") continue;
      inFlight.push(line === undefined ? refuse(bytes, place) : askPlain(db, line));
      size += bytes?.length ?? 0;
      if (inFlight.length >= window || size >= WINDOW_SIZE) await finish();
    }
    await finish();
    await writeOut(prompt);
  }
  return worst;
}

/**
 * The result of a line that is not UTF-8 and not sent: decoding it with replacements would make another
 * request.
 */
function refuse(bytes: Uint8Array | undefined, place: number): Promise<Outcome> {
  const why = bytes === undefined ? `is longer than ${LINE_BYTES_MAX} bytes` : "is not UTF-8";
  say(`keyline shell: Line ${place} ${why}`);
  return Promise.resolve({ text: "", code: 2 });
}

async function askPlain(db: Client, line: string, show = plainReply): Promise<Outcome> {
  try {
    const isTerminal = process.stdout.isTTY === true;
    const { note, ...outcome } = show(await db.request(line), { line, isTerminal });
    if (note !== "") process.stderr.write(note);
    return outcome;
  } catch (error) {
    if (!(error instanceof KeylineError)) throw error;
    say(`keyline shell: ${error.message}`);
    return { text: "", code: error.name === "ArgumentError" ? 2 : 3 };
  }
}

/** Drops permissions that are no longer needed, so that no reply of the server can abuse them. */
function giveUp(names: ("read" | "write" | "env")[]): void {
  for (const name of names) Deno.permissions.revokeSync({ name });
}

if (import.meta.main) process.exitCode = await runShell(process.argv.slice(2));
