/**
 * Starts the servers to compare, each on a free port of 127.0.0.1 with its own folder, and knows how
 * they differ. Called by main.ts, cells.ts and more.ts.
 *
 * @module
 */
import { descendants, openFilesMax, output, Program, readProc, sleep } from "./processes.ts";

/** A server, named for its protocol; `bare` is the loop of bare.ts, which speaks Keyline's. */
export type Protocol = "keyline" | "bare" | "redis" | "memcached";

/** Whether a change is on disk before it is acknowledged, or is never written. */
export type Mode = "durable" | "memory";

/** What is compared: a server in one of its modes. */
export interface Contender {
  readonly protocol: Protocol;
  readonly mode: Mode;
}

/** A running contender; `startMs` is the time from its start to its first reply. */
export interface Server extends Contender, AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  readonly startMs: number;
}

/** All contenders in the order in which tables and legends list them. */
export const CONTENDERS: readonly Contender[] = [
  { protocol: "keyline", mode: "durable" },
  { protocol: "bare", mode: "durable" },
  { protocol: "redis", mode: "durable" },
  { protocol: "keyline", mode: "memory" },
  { protocol: "bare", mode: "memory" },
  { protocol: "redis", mode: "memory" },
  { protocol: "memcached", mode: "memory" },
];

/** Whether it stores what it is sent, as all but the bare loop do. */
export function isServer({ protocol }: Contender): boolean {
  return protocol !== "bare";
}

/** The servers' names, for people. */
export const NAMES: Readonly<Record<Protocol, string>> = {
  keyline: "Keyline",
  bare: "bare loop",
  redis: "Redis",
  memcached: "memcached",
};

/** The line that removes all keys. */
export const CLEAR_LINES: Readonly<Record<Protocol, string>> = {
  keyline: "CLEAR",
  bare: "CLEAR",
  redis: "FLUSHALL",
  memcached: "flush_all",
};

const START_MS_MAX = 120_000;
const CLIENTS_MAX = 6_000;
const FILES_SPARE = 100;
const REPLY_MS_MAX = 60_000;
/** The values of the main comparison, in bytes: the bare loop always replies with one of this length. */
export const VALUE_BYTES = 64;
const REPOSITORY = `${import.meta.dirname}/..`;

/** The versions of the peers that are installed on this machine. */
export async function installedPeers(): Promise<Partial<Record<Protocol, string>>> {
  const found: Partial<Record<Protocol, string>> = {};
  const asked = [["redis", "redis-server"], ["memcached", "memcached"]] as const;
  for (const [protocol, command] of asked) {
    const text = await output(command, ["--version"]).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    });
    const version = /\d+\.\d+(\.\d+)?/.exec(text)?.[0];
    if (version !== undefined) found[protocol] = version;
  }
  return found;
}

/** Starts a contender with its files in `folder`, and waits for its first reply. */
export async function startServer(contender: Contender, folder: string): Promise<Server> {
  const port = freePort();
  await Deno.mkdir(folder, { recursive: true });
  const clients = Math.min(CLIENTS_MAX, await openFilesMax()) - FILES_SPARE;
  const [command, ...args] = commandLine(contender, { port, folder, clients });
  const start = performance.now();
  const program = new Program(command, args, { cwd: REPOSITORY });
  try {
    await firstReply(port, program);
    const startMs = performance.now() - start;
    if (command === Deno.execPath() && args[0] === "task") {
      program.servingPid = await keylinePid(program.pid);
    }
    const { servingPid: pid } = program;
    return { ...contender, port, pid, startMs, [Symbol.asyncDispose]: () => program.stop() };
  } catch (error) {
    await program.stop();
    throw error;
  }
}

/** Starts Keyline over a table in an engine; `programs` end it. */
export async function startKeyline(
  table: string,
  programs: AsyncDisposableStack,
): Promise<Server> {
  const port = freePort();
  const args = ["task", "start", "--port", `${port}`, "--table", table];
  const startedAt = performance.now();
  const program = new Program(Deno.execPath(), args, { cwd: REPOSITORY });
  programs.defer(() => program.stop());
  await firstReply(port, program);
  return {
    protocol: "keyline",
    mode: "durable",
    port,
    pid: program.pid,
    startMs: performance.now() - startedAt,
    [Symbol.asyncDispose]: () => program.stop(),
  };
}

/**
 * Sends one line and returns how long it took to be answered, in milliseconds, the first line of the reply, and
 * the text of what came with that.
 */
export async function ask(
  port: number,
  line: string,
): Promise<{ reply: string; text: string; ms: number }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const late = setTimeout(() => connection.close(), REPLY_MS_MAX);
  try {
    const start = performance.now();
    await connection.write(new TextEncoder().encode(line + "\r\n"));
    const bytes = new Uint8Array(65_536);
    const count = await connection.read(bytes) ?? 0;
    const text = new TextDecoder().decode(bytes.subarray(0, count));
    return { reply: text.split("\r\n")[0] ?? "", text, ms: performance.now() - start };
  } finally {
    clearTimeout(late);
  }
}

function commandLine(
  { protocol, mode }: Contender,
  { port, folder, clients }: { port: number; folder: string; clients: number },
): [string, ...string[]] {
  if (protocol === "keyline") {
    const where = mode === "memory" ? ["--memory"] : ["--data", folder];
    return [Deno.execPath(), "task", "start", "--port", `${port}`, ...where];
  }
  if (protocol === "bare") {
    const bare = `${import.meta.dirname}/bare.ts`;
    const file = mode === "durable" ? [`${folder}/log`] : [];
    const flags = ["--quiet", "--no-prompt", "--allow-net=127.0.0.1", `--allow-write=${folder}`];
    return [Deno.execPath(), "run", ...flags, bare, `${port}`, `${VALUE_BYTES}`, ...file];
  }
  if (protocol === "redis") {
    const files = mode === "durable" ? ["yes", "--appendfsync", "always"] : ["no"];
    const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
    return ["redis-server", ...args, "--appendonly", ...files];
  }
  // Its default of 64 MiB would evict keys of the larger measurements. It refuses to run as root.
  const args = ["-l", "127.0.0.1", "-p", `${port}`, "-U", "0", "-m", "4096", "-u", "nobody"];
  return ["memcached", ...args, "-c", `${clients}`];
}

/** Waits for it. All three answer `get` with one line; a server that is still loading answers with an error. */
export async function firstReply(port: number, program: Program): Promise<void> {
  let ended = false;
  program.ended.then(() => ended = true);
  for (const end = Date.now() + START_MS_MAX; Date.now() < end; await sleep(5)) {
    const { reply } = await ask(port, "get nil").catch(() => ({ reply: "" }));
    if (/^(404|401|\$-1|END)/.test(reply)) return;
    if (ended) throw new Error(`Cannot start a server: it ended at once, saying: ${program.said}`);
  }
  throw new Error(
    `Cannot start a server: no reply for ${START_MS_MAX} ms; it said: ${program.said}`,
  );
}

/** `deno task` is the parent of the server, which is the process that runs main.ts. */
export async function keylinePid(taskPid: number): Promise<number> {
  for (const pid of await descendants(taskPid)) {
    const args = (await readProc(`${pid}/cmdline`).catch(() => "")).split("\0");
    if (args.some((arg) => arg.endsWith("main.ts"))) return pid;
  }
  throw new Error(`Cannot find the server: no process below ${taskPid} runs main.ts`);
}

/** A port that is free now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
