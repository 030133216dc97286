/**
 * What the tests share: permission-aware test definitions, a gate in memory, the server as a process of
 * its own, and a client that speaks the protocol.
 *
 * @module
 */

import type { GateContext } from "../../server/dispatch/gate.ts";
import { Metrics } from "../../server/metrics.ts";
import { loadCommands, Registry } from "../../server/dispatch/registry.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import type { Clock, Table } from "../../tables/table.ts";

type Permission = "net" | "read" | "write" | "run" | "env" | "sys";

/** The root of the project. */
export const ROOT = new URL("../../", import.meta.url);

const utf8 = new TextEncoder();

/** Defines a test that needs permissions; without them it is skipped, and its name says why. */
export function testWith(
  permissions: readonly Permission[],
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const missing = permissions.filter((name) =>
    Deno.permissions.querySync({ name }).state !== "granted"
  );
  const ignore = missing.length > 0;
  const why = ignore ? ` (skipped: needs ${missing.join(", ")}; run deno task test)` : "";
  Deno.test({ name: name + why, ignore, fn });
}

/** Defines a test that needs a program of the system; without it, it is skipped, and its name says so. */
export function testWithProgram(
  program: string,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const isAllowed = Deno.permissions.querySync({ name: "run" }).state === "granted";
  if (isAllowed && !hasProgram(program)) {
    Deno.test({ name: `${name} (skipped: ${program} is not installed)`, ignore: true, fn });
  } else {
    testWith(["run", "net", "read", "write", "env"], name, fn);
  }
}

/** Whether a program is on the PATH. */
export function hasProgram(program: string): boolean {
  return new Deno.Command("sh", { args: ["-c", `command -v ${program}`], stdout: "null" })
    .outputSync().success;
}

/** A context over the real commands and a table in memory, for answers without a socket. */
export async function contextOver(
  table: Table = new MemoryTable(),
  { isPassword, now = Date.now }: { isPassword?: (guess: string) => boolean; now?: Clock } = {},
): Promise<GateContext> {
  const commands = await loadCommands(new URL("commands/", ROOT));
  return {
    table,
    registry: new Registry(commands),
    metrics: new Metrics({ version: "0.0.0", startedAt: now() }),
    now,
    client: { authorized: isPassword === undefined, wrongPasswords: 0 },
    ...(isPassword && { isPassword }),
  };
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
  /** The data folder; a new one, removed at the end, where it is left out. */
  readonly data?: string;
  /** A program and its arguments before Deno's own, such as strace. */
  readonly under?: readonly string[];
  /** The folder of the project to start; this one where it is left out. */
  readonly root?: URL;
}

/**
 * The server, started as a user would start it but for the task: `deno run -P main.ts`. Use it with
 * `await using`, which ends it.
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

  /** Starts a server on a free port and waits until it listens. Throws with what it printed if it ends. */
  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const data = options.data ?? tempFolder();
    const child = spawnServer(["--port", "0", "--data", data, ...options.args ?? []], options);
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
      listening.reject(new Error(`The server ended: ${output.text}`))
    );
    listening.promise.catch(() => {});
    const port = await listening.promise;
    return new ServerProcess(child, { port, data, output, removeData: options.data === undefined });
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

  /** Waits for its end. */
  async status(): Promise<Deno.CommandStatus> {
    this.#status ??= await this.#child.status;
    await this.#output.done;
    return this.#status;
  }

  /** Asks it to end, and waits for that. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Deno.CommandStatus> {
    if (this.#status === undefined) {
      try {
        this.signal(signal);
      } catch {
        // It has ended by itself.
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

/** Runs the server to its end, for starts that fail; returns the exit code and what it printed. */
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
  const deno = [Deno.execPath(), "run", "--quiet", "-P", ...importMapFlags(), "main.ts", ...args];
  const [program, ...rest] = [...options.under ?? [], ...deno];
  return new Deno.Command(program!, {
    args: rest,
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_PROMPT: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The import map that these tests run with, so that processes they start have the same. */
export function importMapFlags(): string[] {
  const isStandIn = import.meta.resolve("@std/assert").startsWith("file:");
  return isStandIn ? [`--import-map=${new URL("offline/import_map.json", ROOT).pathname}`] : [];
}

/** A client on a socket. Every wait is bounded. Use it with `using`. */
export class Client implements Disposable {
  readonly #socket: Deno.TcpConn;
  #received = "";

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  static async connect(port: number): Promise<Client> {
    return new Client(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends text or bytes as they are. */
  async send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? utf8.encode(data) : data;
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** The next line of a reply without its CR LF; undefined at the end of the stream. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 2);
        return line;
      }
      if (!await this.#receive()) return undefined;
    }
  }

  /** The lines of the next reply: all but the last have a `-` behind the code. */
  async reply(): Promise<string[]> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      if (line === undefined) return lines;
      lines.push(line);
      if (line[3] !== "-") return lines;
    }
  }

  /** Sends a line and returns the last line of its reply. */
  async ask(line: string): Promise<string | undefined> {
    await this.send(`${line}\r\n`);
    return (await this.reply()).at(-1);
  }

  /** All that comes until the server ends the connection. */
  async rest(): Promise<string> {
    while (await this.#receive());
    const rest = this.#received;
    this.#received = "";
    return rest;
  }

  /** Tells the server that no more will come. */
  async finish(): Promise<void> {
    await this.#socket.closeWrite();
  }

  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
  }

  /** Reads some bytes of text; false at the end. Gives up after a minute, so that a busy machine fails no test. */
  async #receive(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    const timer = setTimeout(() => this[Symbol.dispose](), 60_000);
    try {
      const length = await this.#socket.read(buffer);
      if (length === null) return false;
      this.#received += this.#decoder.decode(buffer.subarray(0, length), { stream: true });
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return false;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
}
