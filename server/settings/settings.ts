/**
 * What a user can set, by a flag or by a `KEYLINE_` environment variable. `main.ts` reads the settings first;
 * `--help` and the table in docs/options.md come from the list below.
 *
 * @module
 */

import { LOG_FORMATS, type LogFormat } from "../observe/event_log.ts";
import {
  type Bounds,
  type Call,
  type Flag,
  type Flags,
  helpText,
  oneOf,
  readCall,
  seconds as secondsOf,
  UsageError,
  variableIn,
  variableOf,
  type Variables,
  wholeNumber,
} from "./flags.ts";
import {
  ENGINE_VARIABLES,
  type EngineLocation,
  parseEngineLocation,
} from "../../tables/engines.ts";

export { type Flag as Option, UsageError, variableOf };

/** Every option, by its flag without `--`, in the order in which `--help` shows them. */
export const OPTIONS = {
  host: { hint: "ADDRESS", preset: "127.0.0.1", help: "address to listen on" },
  port: { hint: "NUMBER", preset: "5395", help: "port to listen on; 0 picks a free one" },
  data: { hint: "FOLDER", preset: "data", help: "folder that holds the table" },
  memory: { help: "keep the table in memory, nothing on disk" },
  table: { hint: "URL", help: "keep the table in an engine: etcd://… or postgres://…" },
  "table-timeout": {
    hint: "SECONDS",
    preset: "5",
    help: "how long the engine may take for a request",
  },
  cache: { hint: "MIB", help: "memory for values, in MiB; by default a quarter" },
  "max-memory": { hint: "MIB", help: "memory for the server, in MiB; by default three quarters" },
  evict: {
    help: "with --memory: evict the least recently used keys",
  },
  "max-line": { hint: "BYTES", preset: "1048576", help: "longest line, without LF or CR LF" },
  "max-connections": { hint: "NUMBER", preset: "10000", help: "clients at a time" },
  "idle-timeout": { hint: "SECONDS", preset: "0", help: "close a silent client; 0: never" },
  "write-timeout": { hint: "SECONDS", preset: "60", help: "close a client that takes no replies" },
  "password-file": { hint: "FILE", help: "file whose first line is the password for AUTH" },
  "reader-password-file": { hint: "FILE", help: "the same for clients that may only read" },
  insecure: { help: "listen on any address without a password" },
  "tls-cert": { hint: "FILE", help: "certificate to speak TLS with (PEM)" },
  "tls-key": { hint: "FILE", help: "private key of that certificate (PEM)" },
  disable: { hint: "VERBS", help: "operations not to offer: clear,keys" },
  admin: { hint: "PORT", help: "serve metrics and a live page over HTTP on this port" },
  "admin-host": { hint: "ADDRESS", preset: "127.0.0.1", help: "address of that port" },
  slow: { hint: "MS", preset: "10", help: "log requests that hold up the server for longer" },
  log: { hint: "FORMAT", preset: "text", help: "lines of the log: text or json" },
  "print-settings": {
    help: "show the settings and their sources, and exit",
    noVariable: true,
  },
  help: { help: "show this and exit", noVariable: true },
  version: { help: "show the version and exit", noVariable: true },
} as const satisfies Flags;

/** What `--help` says about the server. */
export const HELP: string = helpText("Keyline: a key-value server that you can telnet to", {
  usage: ["keyline serve [options]"],
  flags: OPTIONS,
}) + `
Every option but the last three can be set in the environment as well: --max-line is
KEYLINE_MAX_LINE. A flag takes precedence. KEYLINE_PASSWORD sets the password for AUTH.
`;

type Name = keyof typeof OPTIONS;

/** The settings of one start. */
export interface Settings {
  /** The address to listen on. */
  readonly host: string;
  /** The port to listen on; 0 for a free one. */
  readonly port: number;
  /** The folder that holds the table. */
  readonly data: string;
  /** Whether the user named that folder. */
  readonly isDataGiven: boolean;
  /** Whether to keep the table in memory only. */
  readonly memory: boolean;
  /** Where the table is, if it is in an engine. */
  readonly table: EngineLocation | undefined;
  /** How long the engine may take for a request, in seconds. */
  readonly tableTimeout: number;
  /**
   * How to log in to engines, by variable. There are no flags, because other users can see the flags of a
   * process.
   */
  readonly access: Readonly<Record<string, string>>;
  /** How much memory values may take, in bytes; undefined for a share of the machine's. */
  readonly cacheBytes: number | undefined;
  /** How much memory the server may take, in bytes; undefined for a share of the machine's. */
  readonly memoryBytesMax: number | undefined;
  /** Whether keys are evicted when memory is full. */
  readonly evict: boolean;
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
  /** The file whose first line is the readers' password. */
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
  /** How long a request may hold up the server without a line in the log, in milliseconds. */
  readonly slowMs: number;
  /** How the lines of the log look. */
  readonly log: LogFormat;
  /** Whether to show the settings and end. */
  readonly printSettings: boolean;
  /** Whether to show the help text and end. */
  readonly help: boolean;
  /** Whether to show the version and end. */
  readonly version: boolean;
}

/** A start that failed for another reason; the message says what to do. */
export class StartError extends Error {}

const MIB = 1_048_576;
/** A server without keys takes about half of it. */
const MEMORY_MIB_MIN = 128;
const PORTS = { min: 0, max: 65_535 };

/** Reads the settings of a start. A flag wins over the environment. Throws UsageError. */
export function readSettings(args: readonly string[], variables: Variables): Settings {
  const environment = (name: string) => variableIn(name, variables);
  const { flags: given, origins } = readOptions(args, variables);
  /** The name of an option in a message, as it was given. */
  const called = (name: Name) => origins[name] === "variable" ? variableOf(name) : `--${name}`;
  const whole = (name: Name, bounds: Bounds) => wholeNumber(called(name), `${given[name]}`, bounds);
  const seconds = (name: Name, min: number) => secondsOf(called(name), `${given[name]}`, { min });
  const settings: Settings = {
    host: given.host,
    port: whole("port", PORTS),
    data: given.data,
    isDataGiven: origins.data !== "default",
    memory: given.memory,
    table: locationOf(called("table"), given.table),
    tableTimeout: seconds("table-timeout", 0.1),
    access: Object.fromEntries(
      ENGINE_VARIABLES.map((name) => [name, environment(name) ?? ""]).filter(([, value]) => value),
    ),
    cacheBytes: given.cache === undefined
      ? undefined
      : whole("cache", { min: 0, max: 1_048_576 }) * MIB,
    memoryBytesMax: given["max-memory"] === undefined
      ? undefined
      : whole("max-memory", { min: MEMORY_MIB_MIN, max: 1_048_576 }) * MIB,
    evict: given.evict,
    lineBytesMax: whole("max-line", { min: 64, max: 64 * MIB }),
    connectionsMax: whole("max-connections", { min: 1, max: 1_000_000 }),
    idleTimeout: seconds("idle-timeout", 0),
    writeTimeout: seconds("write-timeout", 0.1),
    passwordFile: given["password-file"],
    readerPasswordFile: given["reader-password-file"],
    password: environment("KEYLINE_PASSWORD"),
    insecure: given.insecure,
    tlsCert: given["tls-cert"],
    tlsKey: given["tls-key"],
    disabled: (given.disable ?? "").toUpperCase().split(/[\s,]+/).filter((verb) => verb !== ""),
    adminPort: given.admin === undefined ? undefined : whole("admin", PORTS),
    adminHost: given["admin-host"],
    slowMs: whole("slow", { min: 1, max: 3_600_000 }),
    log: oneOf(called("log"), given.log, LOG_FORMATS),
    printSettings: given["print-settings"],
    help: given.help,
    version: given.version,
  };
  if (settings.port !== 0 && settings.adminPort === settings.port) {
    throw new UsageError(`--port and --admin are both ${settings.port}: choose two that differ.`);
  }
  if ((settings.tlsCert === undefined) !== (settings.tlsKey === undefined)) {
    throw new UsageError("--tls-cert and --tls-key go together: give both, or neither.");
  }
  if (settings.evict && !settings.memory) {
    throw new UsageError(
      "--evict removes keys, which only --memory may: leave it out, or add --memory.",
    );
  }
  const others = { memory: settings.memory, data: settings.isDataGiven };
  for (const name of ["memory", "data"] as const) {
    if (settings.table !== undefined && others[name]) {
      throw new UsageError(`--table keeps the table in an engine: leave out ${called(name)}.`);
    }
  }
  return settings;
}

/** Reads the options as texts, with the source of each. Throws UsageError. */
export function readOptions(args: readonly string[], variables: Variables): Call<typeof OPTIONS> {
  if (args.some((arg) => /^--password(=|$)/.test(arg))) {
    throw new UsageError(
      "There is no --password, because other users can see the flags of a process. Set " +
        "KEYLINE_PASSWORD, or name a file with --password-file.",
    );
  }
  return readCall(args, { known: OPTIONS, variables });
}

function locationOf(name: string, given: string | undefined): EngineLocation | undefined {
  if (given === undefined) return undefined;
  try {
    return parseEngineLocation(given);
  } catch (error) {
    throw new UsageError(`Cannot use ${name}: ${(error as Error).message}.`);
  }
}
