/**
 * What the tests share: tests that are ignored where they lack a permission or a program, and the server as
 * a process of its own.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { Client } from "./client.ts";

type Permission = "net" | "read" | "write" | "run" | "env" | "sys";
type TestFunction = (t: Deno.TestContext) => void | Promise<void>;

/** What it takes to run a server, or another program, and to talk to it. */
export const SERVER_PERMISSIONS: readonly Permission[] = ["net", "read", "write", "run", "env"];

/** The root of the project. */
export const ROOT = new URL("../../", import.meta.url);

/**
 * Defines a test that needs permissions, and is ignored where they are missing;
 * `without_permissions_test.ts` says which command grants them.
 */
export function testWith(permissions: readonly Permission[], name: string, fn: TestFunction): void {
  Deno.test({ name, ignore: !isGranted(permissions), fn });
}

/** Defines a test that runs a server, or another program, and talks to it. */
export function testServer(name: string, fn: TestFunction): void {
  testWith(SERVER_PERMISSIONS, name, fn);
}

/** The same for Linux alone, where the test looks into /proc. */
export function testServerOnLinux(name: string, fn: TestFunction): void {
  if (Deno.build.os === "linux") testServer(name, fn);
  else Deno.test({ name: `${name} (ignored: needs /proc)`, ignore: true, fn });
}

/** The same where a program is installed; elsewhere the test is ignored, and its name says so. */
export function testWithProgram(program: string, name: string, fn: TestFunction): void {
  if (!isGranted(["run"]) || hasProgram(program)) testServer(name, fn);
  else Deno.test({ name: `${name} (ignored: ${program} is not installed)`, ignore: true, fn });
}

/** Whether these tests run with all of these permissions. */
export function isGranted(permissions: readonly Permission[]): boolean {
  return permissions.every((name) => Deno.permissions.querySync({ name }).state === "granted");
}

/** Whether a program is on the PATH. */
export function hasProgram(program: string): boolean {
  return new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" })
    .outputSync().success;
}

/** A line of the log without its time. Throws where it is no such line. */
export function eventOf(line: string): string {
  const [, event] = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)$/.exec(line) ?? [];
  if (event === undefined) throw new Error(`No line of the log: ${line}`);
  return event;
}

/** A number from the environment, where that may be read and has one. */
export function numberFrom(variable: string, preset: number): number {
  const granted = Deno.permissions.querySync({ name: "env", variable }).state === "granted";
  return Number(granted && Deno.env.get(variable) || preset);
}

/** A new folder for one test. */
export function tempFolder(): string {
  return Deno.makeTempDirSync({ prefix: "keyline-test-" });
}

/** What a process has printed so far, and when it has printed all. */
interface Output {
  text: string;
  stdout: string;
  stderr: string;
  done: Promise<unknown>;
}

/** How to start a server for a test. */
export interface ServerOptions {
  /** Flags beside `--port` and `--data`. */
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** The data folder; where it is left out, a new one that is removed at the end. */
  readonly data?: string;
  /** Where the table is, in place of a data folder. */
  readonly table?: string;
  /** A program to run Deno under, such as strace, and its arguments. */
  readonly under?: readonly string[];
  /** The folder of the project to start; this one where it is left out. */
  readonly root?: URL;
}

/**
 * The server, started as the task starts it. Use it with `await using`, which kills it.
 */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
  readonly data: string;
  readonly #child: Deno.ChildProcess;
  readonly #output: Output;
  readonly #removeData: boolean;
  #status: Deno.CommandStatus | undefined;

  private constructor(child: Deno.ChildProcess, options: {
    port: number;
    data: string;
    removeData: boolean;
    output: Output;
  }) {
    this.#child = child;
    this.port = options.port;
    this.data = options.data;
    this.#output = options.output;
    this.#removeData = options.removeData;
  }

  /** Starts a server on a free port and waits until it listens. Throws what it printed if it exits. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const data = options.data ?? (options.table === undefined ? tempFolder() : "");
    const isOnDisk = options.table === undefined && !options.args?.includes("--memory") &&
      options.env?.KEYLINE_MEMORY === undefined;
    const where = options.table !== undefined
      ? ["--table", options.table]
      : isOnDisk
      ? ["--data", data]
      : [];
    const child = spawnServer(["--port", "0", ...where, ...options.args ?? []], options);
    const output: Output = { text: "", stdout: "", stderr: "", done: Promise.resolve() };
    const listening = Promise.withResolvers<number>();
    const collect = async (name: "stdout" | "stderr") => {
      for await (const text of child[name].pipeThrough(new TextDecoderStream())) {
        output.text += text;
        output[name] += text;
        const port = /listens on \S*:(\d+)/.exec(output.text)?.[1];
        if (port !== undefined) listening.resolve(Number(port));
      }
    };
    output.done = Promise.all([collect("stdout"), collect("stderr")]).then(() =>
      listening.reject(new Error(`The server exited: ${output.text}`))
    );
    listening.promise.catch(() => {});
    const port = await listening.promise;
    const removeData = options.data === undefined && options.table === undefined;
    return new ServerProcess(child, { port, data, output, removeData });
  }

  /** The process id; of the program that it runs under, if there is one. */
  get pid(): number {
    return this.#child.pid;
  }

  /** All that it has printed so far, on both streams. */
  get output(): string {
    return this.#output.text;
  }

  /** What it has printed on standard output so far. */
  get printed(): string {
    return this.#output.stdout;
  }

  /** The lines of its log so far, which is standard error. */
  get log(): string[] {
    return this.#output.stderr.split("\n").slice(0, -1);
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until it exits. */
  async status(): Promise<Deno.CommandStatus> {
    this.#status ??= await this.#child.status;
    await this.#output.done;
    return this.#status;
  }

  /** Asks it to exit, and waits until it has. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    if (this.#status === undefined) {
      try {
        this.signal(signal);
      } catch {
        // It has exited by itself.
      }
    }
    return await this.status();
  }

  /** Opens a connection to it. */
  connect(): Promise<Client> {
    return Client.connect(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    if (this.#removeData) Deno.removeSync(this.data, { recursive: true });
  }
}

/** Runs the server until it exits, for starts that fail; returns the exit code and what it printed. */
export async function runServer(
  args: readonly string[],
  options: ServerOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawnServer(args, options);
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function spawnServer(args: readonly string[], options: ServerOptions): Deno.ChildProcess {
  const root = (options.root ?? ROOT).pathname;
  const deno = [Deno.execPath(), "run", ...startFlags(), "main.ts", ...args];
  const [program, ...rest] = [...options.under ?? [], ...deno];
  return new Deno.Command(program!, {
    args: rest,
    cwd: root,
    clearEnv: true,
    // Busy machines make any request slow.
    env: { ...INHERITED, NO_COLOR: "1", KEYLINE_SLOW: "3600000", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/**
 * What a server does not inherit: what is set for the tests, and coverage, which makes it up to ten times as slow, where
 * servers have much to do. What they run there, others run as well; and when one is killed, its coverage is lost.
 */
const NOT_INHERITED = /\/tests\/(system|tables|tools)\//.test(mainModule())
  ? /^(KEYLINE_.*|DENO_COVERAGE_DIR)$/
  : /^KEYLINE_/;

/** The environment of a server. */
const INHERITED: Readonly<Record<string, string>> = isGranted(["env"])
  ? Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => !NOT_INHERITED.test(name)),
  )
  : {};

/** The file of the test that runs, where that may be known. */
function mainModule(): string {
  return isGranted(["read"]) ? Deno.mainModule : "";
}

/** What the task gives to Deno to start the server with. */
export function startFlags(): string[] {
  const [, flags] = /^deno run (.*) main\.ts$/.exec(config.tasks.start.command)!;
  return flags!.replace("$(deno task -q imports)", importMapFlags().join(" ")).split(/ +/);
}

/** The import map that these tests run with, for the processes that they start. */
export function importMapFlags(): string[] {
  const isStandIn = import.meta.resolve("@std/assert").startsWith("file:");
  return isStandIn ? [`--import-map=${new URL("offline/import_map.json", ROOT).pathname}`] : [];
}
