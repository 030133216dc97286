/**
 * The uses of the one executable: `keyline shell` and so on, or the server if none is named. `main.ts`
 * asks here first. Each use is loaded only when it runs.
 *
 * @module
 */

/** Runs a program and returns its exit code. */
export type Program = (args: readonly string[]) => Promise<number>;

/** A use and its arguments. */
export interface Use {
  /** Runs it; undefined for the server. */
  readonly run: Program | undefined;
  /** The arguments after its name. */
  readonly args: readonly string[];
}

const PROGRAMS = new Map<string, Program>([
  ["shell", async (args) => await (await import("./shell.ts")).runShell(args)],
  ["import", async (args) => await (await import("./import.ts")).runImport(args)],
  ["top", async (args) => await (await import("./top.ts")).runTop(args)],
  ["export", async (args) => await (await import("./export.ts")).runExport(args)],
]);

const BACKUP_HELP = `keyline backup: copy the table to a new file, even while the server runs

Usage: keyline backup FILE [options]

Options, with their defaults:
  --data FOLDER           folder that holds the table [data]
  --help                  show this and end
`;

/** What the server's `--help` says about the other uses. */
export const USES_HELP = `
Other uses, each with its own --help:
  keyline [serve] [options]   the server
  keyline shell               talk to a running server
  keyline top                 its statistics, as they come
  keyline import < FILE       store the lines of an export; or --from redis:// or memcached://
  keyline export > FILE       write every key as a line of JSON
  keyline backup FILE         copy the table, even while the server runs
`;

/** Returns the use that the first argument names. */
export function findUse(given: readonly string[]): Use {
  // `deno task start -- shell` passes the "--" on.
  const [name = "", ...args] = given[0] === "--" ? given.slice(1) : given;
  const run = PROGRAMS.get(name);
  if (run !== undefined) return { run, args };
  if (name === "serve") return { run: undefined, args };
  if (name !== "backup") return { run: undefined, args: given };
  const isHelp = args.length === 0 || args.includes("--help") || args.includes("-h");
  if (isHelp) return { run: () => show(BACKUP_HELP, args.length === 0 ? 2 : 0), args };
  return { run: undefined, args: ["--backup", ...args] };
}

function show(text: string, code: number): Promise<number> {
  console.log(text);
  return Promise.resolve(code);
}
