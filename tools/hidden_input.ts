/**
 * Asks for a password without showing what is typed.
 *
 * @module
 */

import { openSync } from "node:fs";
import process from "node:process";
import { ReadStream } from "node:tty";
import { UsageError } from "../server/settings/flags.ts";

const ENTER = new Set(["\r", "\n", "\x04"]);
const CTRL_C = "\x03";
const CTRL_U = "\x15";
/** The longest password to take, in characters: a line has 1,024 bytes until the password is given. */
const LENGTH_MAX = 1_000;

/**
 * Asks a question on the terminal and returns the answer, without echo. If standard input is not the
 * terminal, it reads /dev/tty, so that `keyline import --password < table.jsonl` works. Throws UsageError
 * if there is no terminal or the user presses Ctrl-C.
 */
export async function askHidden(question: string): Promise<string> {
  const input = terminal();
  process.stderr.write(question);
  input.setRawMode(true);
  input.setEncoding("utf8");
  try {
    return await readHidden(input);
  } finally {
    input.setRawMode(false);
    input.pause();
    process.stderr.write("\n");
    if (input !== process.stdin) input.destroy();
  }
}

function readHidden(input: ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = "";
    const take = (text: string) => {
      for (const character of text) {
        if (ENTER.has(character)) return end(() => resolve(typed));
        if (character === CTRL_C) {
          return end(() => reject(new UsageError("No password was given.")));
        }
        if (character === CTRL_U) typed = "";
        else if (character === "\x7f" || character === "\b") {
          typed = [...typed].slice(0, -1).join("");
        } else if (character >= " " && typed.length < LENGTH_MAX) typed += character;
      }
    };
    const end = (settle: () => void) => {
      input.off("data", take);
      settle();
    };
    input.on("data", take);
  });
}

function terminal(): ReadStream {
  if (process.stdin.isTTY) return process.stdin as ReadStream;
  try {
    return new ReadStream(openSync("/dev/tty", "r"));
  } catch {
    throw new UsageError(
      "There is no terminal to ask for the password. Set KEYLINE_PASSWORD or use --password-file.",
    );
  }
}
