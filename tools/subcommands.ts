/**
 * The subcommands of the one executable: `keyline shell` and so on, or the server if none is named. `main.ts`
 * asks here first. Each is loaded only when it runs.
 *
 * @module
 */

import type { Run } from "./program.ts";
import { asTyped } from "../server/settings/flags.ts";

/** A subcommand and its arguments. */
export interface Subcommand {
  /** Runs it; undefined for the server. */
  readonly run: Run | undefined;
  /** The arguments after its name. */
  readonly args: readonly string[];
}

const ENTRY_POINTS = new Map<string, Run>([
  ["shell", async (args) => await (await import("./shell.ts")).runShell(args)],
  ["import", async (args) => await (await import("./import.ts")).runImport(args)],
  ["top", async (args) => await (await import("./top.ts")).runTop(args)],
  ["export", async (args) => await (await import("./export.ts")).runExport(args)],
  ["backup", async (args) => await (await import("./backup.ts")).runBackup(args)],
  ["restore", async (args) => await (await import("./restore.ts")).runRestore(args)],
  ["check", async (args) => await (await import("./check.ts")).runCheck(args)],
  ["log", async (args) => await (await import("./log.ts")).runLog(args)],
]);

const ABOUT: readonly (readonly [call: string, about: string])[] = [
  ["serve [options]", "the server"],
  ["shell", "talk to a running server; or one request, as in shell GET key"],
  ["top", "its statistics, as they come"],
  ["import < FILE", "store the lines of an export; or --from redis:// or memcached://"],
  ["export > FILE", "write every key as a line of JSON"],
  ["backup FILE", "copy the table, even while the server runs"],
  ["restore FILE", "make a folder of a backup"],
  ["check FOLDER|FILE", "verify a table or a backup; --salvage copies what is whole"],
  ["log FOLDER|FILE", "print the records of a log"],
];

/** What the server's `--help` says about the subcommands. */
export const SUBCOMMANDS_HELP: string = "\nSubcommands, each with its own --help:\n" +
  ABOUT.map(([call, about]) => `  ${asTyped(`keyline ${call}`).padEnd(33)}  ${about}\n`).join("");

/** Returns the subcommand that the first argument names. */
export function findSubcommand(given: readonly string[]): Subcommand {
  // `deno task start -- shell` passes the "--" on.
  const [name = "", ...args] = given[0] === "--" ? given.slice(1) : given;
  const run = ENTRY_POINTS.get(name);
  if (run !== undefined) return { run, args };
  return { run: undefined, args: name === "serve" ? args : given };
}
