/**
 * Flags of the programs beside the server: how they are read, set in the environment, and shown by
 * `--help`.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";

/** One flag. */
export interface Flag {
  /** What follows it, as in `--port NUMBER`; none for a switch. */
  readonly hint?: string;
  /** What it is when nobody sets it. */
  readonly preset?: string;
  /** What it means, in a few words. */
  readonly help: string;
}

/** Flags by their names without `--`. */
export type Flags = Readonly<Record<string, Flag>>;

/** What was given: a text for a flag that takes one, true for a switch. */
export type Given<Known extends Flags> = {
  readonly [Name in keyof Known]: Known[Name] extends { hint: string }
    ? (Known[Name] extends { preset: string } ? string : string | undefined)
    : boolean;
};

/** A call that is not as it should be; the message says what to do. */
export class UsageError extends Error {}

/** Reads flags. One on the command line wins over `KEYLINE_NAME` in the environment. Throws UsageError. */
export function readFlags<const Known extends Flags>(
  args: readonly string[],
  known: Known,
): Given<Known> {
  // `deno task export -- --port 1` hands the "--" on.
  const own = args[0] === "--" ? args.slice(1) : args;
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { hint }]) => [name, {
      type: hint === undefined ? "boolean" as const : "string" as const,
      ...name === "help" && { short: "h" },
    }]),
  );
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: [...own], options }).values;
  } catch (error) {
    // Its first sentence says what is wrong; what follows speaks of a Node.js program.
    const [what] = (error as Error).message.split(/\.\s/);
    throw new UsageError(`${what}. Run with --help to see the options.`);
  }
  return Object.fromEntries(
    Object.entries(known).map(([name, { hint, preset }]) => {
      if (hint === undefined) return [name, values[name] ?? false];
      return [name, values[name] ?? (process.env[variableOf(name)] || undefined) ?? preset];
    }),
  ) as Given<Known>;
}

/** The help text: what it is, how it is called, and its flags. */
export function helpText(about: string, { usage, flags }: { usage: string; flags: Flags }): string {
  const rows = Object.entries(flags).map(([name, { hint, preset, help }]) => {
    const flag = `--${name}${hint === undefined ? "" : ` ${hint}`}`;
    return `  ${flag.padEnd(24)}${help}${preset === undefined ? "" : ` [${preset}]`}`;
  });
  return `${about}\n\nUsage: ${usage}\n\nOptions, with what they are by default:\n${
    rows.join("\n")
  }\n`;
}

/** A whole number that a flag was given. Throws UsageError. */
export function wholeNumber(
  name: string,
  { text, min, max }: { text: string; min: number; max: number },
): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}: it is "${text}".`);
}

/** One of several words that a flag was given. Throws UsageError. */
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
