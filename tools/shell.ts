/**
 * The shell: a prompt for a running server, with history, completion and hints; or, where input is no
 * terminal, a plain way to send lines and read replies. Run it with `deno task shell`, or as
 * `keyline shell`.
 *
 * @module
 */

import process from "node:process";
import { type Client, KeylineError } from "../client/client.ts";
import { runProgram, writeOut } from "./program.ts";
import { History } from "./shell_history.ts";
import { Prompt } from "./shell_prompt.ts";
import { plainReply, worse } from "./shell_reply.ts";
import { reach, TARGET_FLAGS, targetOf } from "./target.ts";
import { type Flags, helpText, readFlags } from "./usage.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  history: { hint: "FILE", help: "where lines are kept [.keyline_history in the home folder]" },
  "no-history": { help: "keep no lines" },
  "no-color": { help: "show no colours; NO_COLOR does the same" },
  help: { help: "show this and end" },
} as const satisfies Flags;

const HELP = helpText("keyline shell: talk to a running server", {
  usage: "keyline shell [options]\n       echo 'GET greeting' | keyline shell [options]",
  flags: FLAGS,
}) + `
On a terminal: Tab completes verbs and keys, the arrows bring back what was typed, Ctrl-C leaves a
line or stops waiting, Ctrl-D ends. Elsewhere each line of input is sent, and each reply printed as it
is. The exit code is that of the worst reply: 0 for 200, 1 for 404 and 409, 2 for 220, 400 and 401, 3
for 500, 503 and no reply.
`;
/** How many requests are under way at a time, where input is no terminal. */
const WINDOW = 1_000;

if (import.meta.main) process.exitCode = await runShell(process.argv.slice(2));

/** Runs the shell; returns the exit code. */
export function runShell(args: readonly string[]): Promise<number> {
  return runProgram("shell", async () => {
    const flags = readFlags(args, FLAGS);
    if (flags.help) {
      await writeOut(HELP);
      return 0;
    }
    const target = await targetOf(flags);
    await using db = await reach(target);
    const { stdin, stdout, env } = process;
    if (!stdin.isTTY || !stdout.isTTY) {
      giveUp(["read", "write", "env"]);
      return await runPlain(db);
    }
    const home = env.HOME;
    const file = flags.history ?? (home ? `${home}/.keyline_history` : undefined);
    const history = new History(flags["no-history"] ? undefined : file);
    const isDumb = env.TERM === "dumb";
    const hasColors = !isDumb && !flags["no-color"] && !env.NO_COLOR;
    giveUp(["write"]);
    const prompt = await Prompt.open(db, { target, history, hasColors, isDumb });
    return await prompt.run();
  });
}

/** Sends each line of standard input, and prints each reply; returns the code of the worst. */
async function runPlain(db: Client): Promise<number> {
  let worst = 0;
  let isOver = false;
  let under: Promise<{ text: string; code: number }>[] = [];
  const finish = async () => {
    for (const { text, code } of await Promise.all(under)) {
      worst = worse(worst, code);
      await writeOut(text);
    }
    under = [];
  };
  for await (const lines of linesOfInput()) {
    for (const line of lines) {
      isOver = /^ *(QUIT|EXIT) *$/i.test(line);
      if (isOver) break;
      if (line.trim() !== "" && under.push(askPlain(db, line)) >= WINDOW) await finish();
    }
    await finish();
    if (isOver) break;
  }
  await finish();
  return worst;
}

/** The lines that each packet of standard input completes, and the last without an end. */
async function* linesOfInput(): AsyncGenerator<string[], void, undefined> {
  process.stdin.setEncoding("utf8");
  let rest = "";
  for await (const text of process.stdin) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield lines.map((line) => line.replace(/\r$/, ""));
  }
  if (rest !== "") yield [rest.replace(/\r$/, "")];
}

async function askPlain(db: Client, line: string): Promise<{ text: string; code: number }> {
  try {
    return plainReply(await db.request(line));
  } catch (error) {
    if (!(error instanceof KeylineError)) throw error;
    process.stderr.write(`keyline shell: ${error.message}\n`);
    return { text: "", code: error.name === "ArgumentError" ? 2 : 3 };
  }
}

/** Nothing more of these is needed, so that nothing that the server sends can make use of it. */
function giveUp(names: ("read" | "write" | "env")[]): void {
  for (const name of names) Deno.permissions.revokeSync({ name });
}
