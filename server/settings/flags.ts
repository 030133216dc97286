/**
 * The flags of the server and of the tools: reads them from the command line and the environment, and
 * describes them for `--help`.
 *
 * @module
 */

import { parseArgs, type ParseArgsConfig } from "node:util";

/** One flag. */
export interface Flag {
  /** What follows it, as in `--port NUMBER`; nothing for a switch. */
  readonly hint?: string;
  /** Its default value. */
  readonly preset?: string;
  /** What it sets, in a few words. */
  readonly help: string;
  /** Whether it can't be set in the environment. */
  readonly noVariable?: true;
  /** Whether an empty text is a value. */
  readonly mayBeEmpty?: true;
}

/** Flags by name, without `--`, in the order in which `--help` shows them. */
export type Flags = Readonly<Record<string, Flag>>;

/** The values of flags: a string for a flag that takes one, a boolean for a switch. */
export type Given<Known extends Flags> = {
  readonly [Name in keyof Known]: Known[Name] extends { hint: string }
    ? (Known[Name] extends { preset: string } ? string : string | undefined)
    : boolean;
};

/** The source of a flag's value. */
export type Origin = "option" | "variable" | "default";

/** Reads a variable of the environment; undefined where it is not set. */
export type Variables = (name: string) => string | undefined;

/** What a program is called with. */
export interface Call<Known extends Flags> {
  /** The values of the flags. */
  readonly flags: Given<Known>;
  /** Their sources. */
  readonly origins: Readonly<Record<keyof Known, Origin>>;
  /** The other arguments. */
  readonly operands: readonly string[];
}

/** How a program can be called. */
export interface Usage<Known extends Flags> {
  /** The flags that there are. */
  readonly known: Known;
  /** The names of the other arguments, all of which are required unless `--help` is given. */
  readonly operands?: readonly string[];
  /** Whether there may be any number of them. Then flags come first, and what follows them is not parsed. */
  readonly isOpen?: boolean;
  /** The environment; tests inject their own. */
  readonly variables?: Variables;
}

/** A wrong call, or settings that can't be used; the message says what to do. */
export class UsageError extends Error {}

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ["1", true],
  ["true", true],
  ["0", false],
  ["false", false],
  ["", false],
]);

/** Reads flags and other arguments. The command line wins over the environment. Throws UsageError. */
export function readCall<const Known extends Flags>(
  args: readonly string[],
  { known, operands = [], isOpen = false, variables = (name) => Deno.env.get(name) }: Usage<Known>,
): Call<Known> {
  const { values, positionals } = parse(args, { known, hasOperands: operands.length > 0, isOpen });
  if (!isOpen) checkOperands(positionals, { operands, isHelp: values.help === true });
  const flags: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const [name, flag] of Object.entries(known)) {
    const variable = flag.noVariable ? undefined : variableIn(variableOf(name), variables);
    const given = values[name] ?? variable;
    if (given === "" && !flag.mayBeEmpty) throw new UsageError(`--${name} must not be empty.`);
    origins[name] = name in values ? "option" : variable !== undefined ? "variable" : "default";
    flags[name] = flag.hint === undefined ? isOn(name, given) : given ?? flag.preset;
  }
  return { flags, origins, operands: positionals } as Call<Known>;
}

/** The environment variable of a flag. */
export function variableOf(name: string): string {
  return `KEYLINE_${name.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * A variable; undefined if it is unset or empty. Throws UsageError, because Deno's own message about a value
 * that is not UTF-8 would reveal it.
 */
export function variableIn(name: string, variables: Variables): string | undefined {
  try {
    return variables(name) || undefined;
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    throw new UsageError(`${name} is not UTF-8: set it to text.`);
  }
}

/** The tasks that have other names than their subcommands. */
const TASKS: ReadonlyMap<string, string> = new Map([["serve", "start"], ["check", "check:table"]]);

/** A command as it is typed here: `keyline export` with the executable, a task in a checkout. */
export function asTyped(command: string): string {
  if (Deno.build.standalone) return command;
  return command.replace(/\bkeyline ([a-z]+)/, (_, name) => `deno task ${TASKS.get(name) ?? name}`);
}

/** A help text: what the program does, the ways to call it, and its flags. */
export function helpText(
  about: string,
  { usage, flags }: { usage: readonly string[]; flags: Flags },
): string {
  const rows = Object.entries(flags).map(([name, { hint, preset, help }]) => [
    hint === undefined ? `--${name}` : `--${name} ${hint}`,
    preset === undefined ? help : `${help} [${preset}]`,
  ]);
  const width = Math.max(...rows.map(([flag]) => flag!.length));
  const lines = rows.map(([flag, help]) => `  ${flag!.padEnd(width)}  ${help}\n`);
  return `${about}\n\nUsage: ${
    usage.map(asTyped).join("\n       ")
  }\n\nOptions, with their defaults:\n${lines.join("")}`;
}

/** The bounds of a number, inclusive. */
export interface Bounds {
  /** The least. */
  readonly min: number;
  /** The most; unbounded by default. */
  readonly max?: number;
}

/** The value of a flag as a whole number; `name` is how it was given. Throws UsageError. */
export function wholeNumber(name: string, text: string, { min, max = Infinity }: Bounds): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}: it is "${text}".`);
}

/** The value of a flag as a number of seconds. Throws UsageError. */
export function seconds(name: string, text: string, { min, max = Infinity }: Bounds): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  const range = max === Infinity ? `, at least ${min}` : ` from ${min} to ${max}`;
  throw new UsageError(`${name} must be a number of seconds${range}: it is "${text}".`);
}

/** The value of a flag as one of several words. Throws UsageError. */
export function oneOf<const Word extends string>(
  name: string,
  text: string,
  words: readonly Word[],
): Word {
  const word = words.find((word) => word === text);
  if (word !== undefined) return word;
  throw new UsageError(`${name} must be ${words.join(" or ")}: it is "${text}".`);
}

interface Parsed {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

function parse(
  args: readonly string[],
  { known, hasOperands, isOpen }: { known: Flags; hasOperands: boolean; isOpen: boolean },
): Parsed {
  // `deno task start -- --port 1` passes the "--" on.
  const own = args[0] === "--" ? args.slice(1) : args;
  const options: ParseArgsConfig["options"] = Object.fromEntries(
    Object.entries(known).map(([name, { hint }]) => [name, {
      type: hint === undefined ? "boolean" : "string",
      ...name === "help" && { short: "h" },
    }]),
  );
  const end = isOpen ? flagsEnd(own, options) : own.length;
  try {
    const { values, positionals } = parseArgs({
      args: withValues(own.slice(0, end)),
      options,
      allowPositionals: hasOperands,
    });
    return { values: values as Parsed["values"], positionals: [...positionals, ...own.slice(end)] };
  } catch (error) {
    // Its first sentence says what is wrong; the rest is about Node.js programs.
    const what = (error as Error).message.split(/\.\s/)[0]!
      .replace(
        /^Option '(-.* )?--([^ ']+)( <value>)?' argument .*/s,
        "--$2 needs a value after it",
      );
    throw new UsageError(`${what}. Run with --help to see the options.`);
  }
}

/** The index of the first argument that belongs to no flag. */
function flagsEnd(args: readonly string[], options: ParseArgsConfig["options"]): number {
  const { tokens } = parseArgs({
    args: [...args],
    options: options!,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return tokens.find(({ kind }) => kind === "positional")?.index ?? args.length;
}

/** Joins a number below zero to the flag before it, which would otherwise be two flags. */
function withValues(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const isValue = /^-\d/.test(arg) && /^--[^=]+$/.test(joined.at(-1) ?? "");
    joined.push(isValue ? `${joined.pop()}=${arg}` : arg);
  }
  return joined;
}

function checkOperands(
  given: readonly string[],
  { operands, isHelp }: { operands: readonly string[]; isHelp: boolean },
): void {
  const missing = operands[given.length];
  if (missing !== undefined && !isHelp) {
    throw new UsageError(`${missing} is missing. Run with --help to see the usage.`);
  }
  if (given.length > operands.length) {
    const surplus = given[operands.length];
    throw new UsageError(`"${surplus}" is too much. Run with --help to see the usage.`);
  }
}

function isOn(name: string, given: string | boolean | undefined): boolean {
  if (typeof given !== "string") return given ?? false;
  const value = SWITCHES.get(given.toLowerCase());
  if (value !== undefined) return value;
  throw new UsageError(`${variableOf(name)} must be 1 or 0: it is "${given}".`);
}
