/**
 * What `--print-settings` prints: the settings in force, and the source of each. It prints no secret.
 *
 * @module
 */

import { type Origin, variableIn, type Variables } from "./flags.ts";
import { cacheBytesByDefault, memoryBytesMaxByDefault } from "../memory.ts";
import { readOptions } from "./settings.ts";
import { VARIABLES_ALONE } from "./variables.ts";

const MIB = 1_048_576;
/** Printed in place of a value that is not set. */
const NONE = "-";
/** The options that are about this start alone. */
const ACTIONS = ["print-settings", "help", "version"];
/** The endings of variables whose value is a secret; the others name a user or a file. */
const SECRET = /_PASSWORD$/;
/** What is printed without quotes. */
const PLAIN = /^[!-~]+$/;

/** A line for each option, and for each variable without one: its name, its value, and its source. */
export function printedSettings(args: readonly string[], variables: Variables): string {
  const { flags, origins } = readOptions(args, variables);
  const isOnDisk = !flags.memory && flags.table === undefined;
  const computed: Readonly<Record<string, string>> = {
    "max-memory": String(memoryBytesMaxByDefault() / MIB),
    ...isOnDisk && { cache: String(cacheBytesByDefault() / MIB) },
  };
  const rows: [name: string, value: string, origin: Origin][] = [
    ...Object.entries(flags).filter(([name]) => !ACTIONS.includes(name)).map((
      [name, value],
    ): [string, string, Origin] => [
      `--${name}`,
      shown(value ?? computed[name]),
      origins[name as keyof typeof flags],
    ]),
    ...VARIABLES_ALONE.map((name): [string, string, Origin] => {
      const value = variableIn(name, variables);
      if (value === undefined) return [name, NONE, "default"];
      return [name, SECRET.test(name) ? "(secret)" : shown(value), "variable"];
    }),
  ];
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map(([name, value, origin]) =>
    `${name.padEnd(widths[0]!)}  ${value.padEnd(widths[1]!)}  ${origin}`
  ).join("\n");
}

function shown(value: string | boolean | undefined): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  if (value === undefined) return NONE;
  return PLAIN.test(value) ? value : JSON.stringify(value);
}
