/**
 * What a user can set, by a flag or by a `KEYLINE_` environment variable. `main.ts` reads the settings
 * first; `--help` and the table in the documents come from the list below.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { LOG_FORMATS, type LogFormat } from "./event_log.ts";
import { ENGINE_VARIABLES, type EngineLocation, parseEngineLocation } from "../tables/engines.ts";

/** How to write an option, what it means, and its default. */
export interface Option {
  /** What follows the flag, as in `--port NUMBER`; nothing for a switch. */
  readonly hint?: string;
  /** The default. */
  readonly preset?: string;
  /** What it means, in a few words. */
  readonly help: string;
}

/** Every option, by its flag without `--`, in the order in which `--help` shows them. */
export const OPTIONS = {
  host: { hint: "ADDRESS", preset: "127.0.0.1", help: "address to listen on" },
  port: { hint: "NUMBER", preset: "5395", help: "port to listen on; 0 picks a free one" },
  data: { hint: "FOLDER", preset: "data", help: "folder that holds the table" },
  memory: { help: "keep the table in memory, nothing on disk" },
  table: { hint: "URL", help: "keep the table in an engine: etcd://… or postgres://…" },
  "table-timeout": { hint: "SECONDS", preset: "5", help: "how long that may take for a request" },
  cache: { hint: "MIB", help: "memory for values, in MiB; else a quarter of the memory" },
  "max-line": { hint: "BYTES", preset: "1048576", help: "longest line, without LF or CR LF" },
  "max-connections": { hint: "NUMBER", preset: "10000", help: "clients at a time" },
  "idle-timeout": { hint: "SECONDS", preset: "0", help: "close a silent client; 0: never" },
  "write-timeout": { hint: "SECONDS", preset: "60", help: "close a client that takes no replies" },
  "password-file": { hint: "FILE", help: "file whose first line is the password for AUTH" },
  "reader-password-file": { hint: "FILE", help: "the same for those who may only read" },
  insecure: { help: "listen on any address without a password" },
  "tls-cert": { hint: "FILE", help: "certificate to speak TLS with (PEM)" },
  "tls-key": { hint: "FILE", help: "private key of that certificate (PEM)" },
  disable: { hint: "VERBS", help: "operations not to offer: clear,keys" },
  admin: { hint: "PORT", help: "serve metrics and a live page over HTTP on this port" },
  "admin-host": { hint: "ADDRESS", preset: "127.0.0.1", help: "address of that port" },
  log: { hint: "FORMAT", preset: "text", help: "lines of the log: text or json" },
  help: { help: "show this and exit" },
  version: { help: "show the version and exit" },
} as const satisfies Record<string, Option>;

type Name = keyof typeof OPTIONS;

/** The settings of one start. */
export interface Settings {
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on; 0 for a free one. */
  readonly port: number;
  /** The folder that holds the table. */
  readonly data: string;
  /** Whether someone has named that folder. */
  readonly isDataGiven: boolean;
  /** Whether to keep the table in memory only. */
  readonly memory: boolean;
  /** Where the table is, if it is in an engine. */
  readonly table: EngineLocation | undefined;
  /** How long the engine may take for a request, in seconds. */
  readonly tableTimeout: number;
  /** How to get into engines, by variable. There are no flags, because other users can see those of a process. */
  readonly access: Readonly<Record<string, string>>;
  /** How much memory values may take, in bytes; undefined for a share of the memory that there is. */
  readonly cacheBytes: number | undefined;
  /** The longest line, in bytes without LF or CR LF. */
  readonly lineBytesMax: number;
  /** How many clients to serve at a time. */
  readonly connectionsMax: number;
  /** When to close a silent client, in seconds; 0: never. */
  readonly idleTimeout: number;
  /** When to close a client that takes no replies, in seconds. */
  readonly writeTimeout: number;
  /** The file whose first line is the password. */
  readonly passwordFile: string | undefined;
  /** The file whose first line is the password of those who may only read. */
  readonly readerPasswordFile: string | undefined;
  /** `KEYLINE_PASSWORD`. It has no flag, because other users can see the flags of a process. */
  readonly password: string | undefined;
  /** Whether to listen on any address without a password. */
  readonly insecure: boolean;
  /** The file of the certificate for TLS, in PEM. */
  readonly tlsCert: string | undefined;
  /** The file of its key, in PEM. */
  readonly tlsKey: string | undefined;
  /** The verbs not to offer, in upper case. */
  readonly disabled: string[];
  /** The port for metrics and the live page; 0 for a free one, undefined for none. */
  readonly adminPort: number | undefined;
  /** The address of that port. */
  readonly adminHost: string;
  /** How the lines of the log look. */
  readonly log: LogFormat;
  /** Whether to show the help text and end. */
  readonly help: boolean;
  /** Whether to show the version and end. */
  readonly version: boolean;
}

/** Settings that can't be used; the message says what to do. */
export class UsageError extends Error {}

/** A start that failed for another reason; the message says what to do. */
export class StartError extends Error {}

const MIB = 1_048_576;
const PORTS = { min: 0, max: 65_535 };
const SWITCHES = new Map([["1", true], ["true", true], ["0", false], ["false", false], [
  "",
  false,
]]);

/** Reads the settings of a start. A flag wins over the environment. Throws UsageError. */
export function readSettings(
  args: readonly string[],
  variables: (name: string) => string | undefined,
): Settings {
  const environment = (name: string) => variable(name, variables);
  const flags = parseFlags(args);
  // An empty variable counts as unset.
  const given = (name: Name) =>
    flags[name] ?? (environment(variableOf(name)) || undefined) ?? presetOf(name);
  /** The name of an option in a message: the way it was given. */
  const called = (name: Name) => flags[name] === undefined ? variableOf(name) : `--${name}`;
  const text = (name: Name) => {
    const value = given(name);
    if (value === "") throw new UsageError(`${called(name)} must not be empty.`);
    return value === undefined ? undefined : String(value);
  };
  const whole = (name: Name, range: Range) => wholeNumber(called(name), text(name)!, range);
  const seconds = (name: Name, min: number) => decimalNumber(called(name), text(name)!, min);
  const settings: Settings = {
    host: text("host")!,
    port: whole("port", PORTS),
    data: text("data")!,
    isDataGiven: flags.data !== undefined || !!environment(variableOf("data")),
    memory: switchOf("memory", given("memory")),
    table: locationOf(called("table"), text("table")),
    tableTimeout: seconds("table-timeout", 0.1),
    access: Object.fromEntries(
      ENGINE_VARIABLES.map((name) => [name, environment(name) || ""]).filter(([, value]) => value),
    ),
    cacheBytes: given("cache") === undefined
      ? undefined
      : whole("cache", { min: 0, max: 1_048_576 }) * MIB,
    lineBytesMax: whole("max-line", { min: 64, max: 64 * MIB }),
    connectionsMax: whole("max-connections", { min: 1, max: 1_000_000 }),
    idleTimeout: seconds("idle-timeout", 0),
    writeTimeout: seconds("write-timeout", 0.1),
    passwordFile: text("password-file"),
    readerPasswordFile: text("reader-password-file"),
    password: environment("KEYLINE_PASSWORD"),
    insecure: switchOf("insecure", given("insecure")),
    tlsCert: text("tls-cert"),
    tlsKey: text("tls-key"),
    disabled: (text("disable") ?? "").toUpperCase().split(/[\s,]+/).filter((verb) => verb !== ""),
    adminPort: text("admin") === undefined ? undefined : whole("admin", PORTS),
    adminHost: text("admin-host")!,
    log: oneOf(called("log"), { given: text("log")!, words: LOG_FORMATS }),
    help: switchOf("help", flags.help),
    version: switchOf("version", flags.version),
  };
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    throw new UsageError("--tls-cert and --tls-key go together: give both, or neither.");
  }
  const others = { memory: settings.memory, data: settings.isDataGiven };
  for (const name of ["memory", "data"] as const) {
    if (settings.table !== undefined && others[name]) {
      throw new UsageError(`--table keeps the table in an engine: leave out ${called(name)}.`);
    }
  }
  return settings;
}

/** The environment variable of an option. */
export function variableOf(name: string): string {
  return `KEYLINE_${name.toUpperCase().replaceAll("-", "_")}`;
}

type Flags = { [name in Name]?: string | boolean };

function parseFlags(args: readonly string[]): Flags {
  // `deno task start -- --port 1` passes the "--" on.
  const own = args[0] === "--" ? args.slice(1) : args;
  const types = Object.entries<Option>(OPTIONS).map(([name, { hint }]) =>
    [name, { type: hint === undefined ? "boolean" as const : "string" as const }] as const
  );
  const options = { ...Object.fromEntries(types), help: { type: "boolean" as const, short: "h" } };
  try {
    return parseArgs({ args: withValues(own), options }).values as Flags;
  } catch (error) {
    // Its first sentence says what is wrong; the rest is about Node.js programs.
    const what = (error as Error).message.split(/\.\s/)[0]!
      .replace(
        /^Option '(-.* )?--([^ ']+)( <value>)?' argument .*/s,
        "--$2 needs a value after it",
      );
    if (what === "Unknown option '--password'") {
      throw new UsageError(
        "There is no --password, because other users can see the flags of a process. Set " +
          "KEYLINE_PASSWORD, or name a file with --password-file.",
      );
    }
    throw new UsageError(`${what}. Run with --help to see the options.`);
  }
}

/** A variable of the environment. What Deno says of one that is not UTF-8 would tell its value. */
function variable(
  name: string,
  variables: (name: string) => string | undefined,
): string | undefined {
  try {
    return variables(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    throw new UsageError(`${name} is not UTF-8: set it to text.`);
  }
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

function presetOf(name: Name): string | undefined {
  return (OPTIONS[name] as Option).preset;
}

function switchOf(name: Name, given: string | boolean | undefined): boolean {
  if (typeof given !== "string") return given ?? false;
  const value = SWITCHES.get(given.toLowerCase());
  if (value === undefined) {
    throw new UsageError(`${variableOf(name)} must be 1 or 0: it is "${given}".`);
  }
  return value;
}

function locationOf(name: string, given: string | undefined): EngineLocation | undefined {
  if (given === undefined) return undefined;
  try {
    return parseEngineLocation(given);
  } catch (error) {
    throw new UsageError(`Cannot use ${name}: ${(error as Error).message}.`);
  }
}

interface Range {
  readonly min: number;
  readonly max: number;
}

function wholeNumber(name: string, given: string, { min, max }: Range): number {
  const value = /^\d+$/.test(given) ? Number(given) : NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}: it is "${given}".`);
}

function oneOf<const Word extends string>(
  name: string,
  { given, words }: { given: string; words: readonly Word[] },
): Word {
  const word = words.find((word) => word === given);
  if (word !== undefined) return word;
  throw new UsageError(`${name} must be ${words.join(" or ")}: it is "${given}".`);
}

function decimalNumber(name: string, given: string, min: number): number {
  const value = /^\d+(\.\d+)?$/.test(given) ? Number(given) : NaN;
  if (value >= min) return value;
  throw new UsageError(`${name} must be a number of seconds, at least ${min}: it is "${given}".`);
}
