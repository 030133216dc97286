/**
 * The uses of the one executable: `keyline shell` and so on, and the server where none is named.
 * `main.ts` asks here first; each use is loaded only when it is asked for.
 *
 * @module
 */

/** A program that returns its exit code. */
export type Program = (args: readonly string[]) => Promise<number>;

/** A use, and its arguments; without a program it is the server, whose options the arguments are. */
export interface Use {
  /** What runs it; undefined for the server. */
  readonly run: Program | undefined;
  /** What follows its name. */
  readonly args: readonly string[];
}

const PROGRAMS = new Map<string, Program>([
  ["shell", async (args) => await (await import("./shell.ts")).runShell(args)],
  ["import", async (args) => await (await import("./import.ts")).runImport(args)],
  ["export", async (args) => await (await import("./export.ts")).runExport(args)],
]);

const BACKUP_HELP = `keyline backup: copy the table to a new file, also beside a running server

Usage: keyline backup FILE [--data FOLDER]
`;

/** What `--help` says of the uses, behind the options of the server. */
export const USES_HELP = `
Other uses, each with its own --help:
  keyline [serve] [options]   the server
  keyline shell               talk to a running server
  keyline import < FILE       store what an export wrote, or --from redis:// or memcached://
  keyline export > FILE       write every key, a JSON object a line
  keyline backup FILE         copy the table, also beside a running server
`;

/** The use that the first argument names. */
export function findUse(given: readonly string[]): Use {
  // `deno task start -- shell` hands the "--" on.
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
