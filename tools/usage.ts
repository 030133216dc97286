/**
 * The flags of the programs beside the server: reads them from the command line and the environment,
 * and describes them for `--help`.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";

/** One flag. */
export interface Flag {
  /** What follows it, as in `--port NUMBER`; left out for a switch. */
  readonly hint?: string;
  /** Its default value. */
  readonly preset?: string;
  /** What it sets, in a few words. */
  readonly help: string;
}

/** Flags by name, without `--`. */
export type Flags = Readonly<Record<string, Flag>>;

/** The values of flags: a string for a flag that takes one, a boolean for a switch. */
export type Given<Known extends Flags> = {
  readonly [Name in keyof Known]: Known[Name] extends { hint: string }
    ? (Known[Name] extends { preset: string } ? string : string | undefined)
    : boolean;
};

/** A wrong call; the message says what to do. */
export class UsageError extends Error {}

/** What a program is called with. */
export interface Call<Known extends Flags> {
  /** The flags. */
  readonly flags: Given<Known>;
  /** What else is given: one for each name, or fewer if there is help to show. */
  readonly operands: readonly string[];
}

/**
 * Reads flags, and as many other arguments as there are names for them. The command line takes precedence over
 * `KEYLINE_NAME` in the environment. Throws UsageError.
 */
export function readCall<const Known extends Flags>(
  args: readonly string[],
  { known, operands }: { known: Known; operands: readonly string[] },
): Call<Known> {
  // `deno task export -- --port 1` passes the "--" on.
  const own = args[0] === "--" ? args.slice(1) : args;
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { hint }]) => [name, {
      type: hint === undefined ? "boolean" as const : "string" as const,
      ...name === "help" && { short: "h" },
    }]),
  );
  let values: Record<string, unknown>;
  let positionals: readonly string[];
  try {
    const allowPositionals = operands.length > 0;
    ({ values, positionals } = parseArgs({ args: [...own], options, allowPositionals }));
  } catch (error) {
    // Its first sentence says what is wrong; the rest is advice for Node.js programs.
    const [what] = (error as Error).message.split(/\.\s/);
    throw new UsageError(`${what}. Run with --help to see the options.`);
  }
  const missing = operands[positionals.length];
  if (missing !== undefined && values.help !== true) {
    throw new UsageError(`${missing} is missing. Run with --help to see the usage.`);
  }
  if (positionals.length > operands.length) {
    const surplus = positionals[operands.length];
    throw new UsageError(`"${surplus}" is too much. Run with --help to see the usage.`);
  }
  const flags = Object.fromEntries(
    Object.entries(known).map(([name, { hint, preset }]) => {
      if (hint === undefined) return [name, values[name] ?? false];
      return [name, values[name] ?? (process.env[variableOf(name)] || undefined) ?? preset];
    }),
  ) as Given<Known>;
  return { flags, operands: positionals };
}

/** Returns a help text: what the program does, how to call it, and its flags. */
export function helpText(about: string, { usage, flags }: { usage: string; flags: Flags }): string {
  const rows = Object.entries(flags).map(([name, { hint, preset, help }]) => {
    const flag = `--${name}${hint === undefined ? "" : ` ${hint}`}`;
    return `  ${flag.padEnd(24)}${help}${preset === undefined ? "" : ` [${preset}]`}`;
  });
  return `${about}\n\nUsage: ${usage}\n\nOptions, with their defaults:\n${rows.join("\n")}\n`;
}

/** Returns the value of a flag as a whole number. Throws UsageError. */
export function wholeNumber(
  name: string,
  { text, min, max }: { text: string; min: number; max: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}: it is "${text}".`);
}

/** Returns the value of a flag as one of several words. Throws UsageError. */
export function oneOf<const Word extends string>(
  name: string,
  { text, words }: { text: string; words: readonly Word[] },
): Word {
  const word = words.find((word) => word === text);
  if (word !== undefined) return word;
  throw new UsageError(`--${name} must be ${words.join(" or ")}: it is "${text}".`);
}

function variableOf(name: string): string {
  return `KEYLINE_${name.toUpperCase().replaceAll("-", "_")}`;
}
