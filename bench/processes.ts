/**
 * The programs that the benchmark starts. It remembers each one until it exits, so that it can always stop
 * exactly these, by their process ids. Called by peers.ts, generator.ts and main.ts.
 *
 * @module
 */

const GRACE_MS = 10_000;
const SAID_CHARS = 2_000;

const running = new Set<Program>();
const commands = new Set<AbortController>();

/** A program that runs until it is stopped. */
export class Program {
  /** The process to signal for a clean stop, if it is not the one that was started. */
  servingPid: number;
  readonly pid: number;
  readonly ended: Promise<Deno.CommandStatus>;
  #said = "";

  /** Starts the command in `cwd`, without input. */
  constructor(command: string, args: readonly string[], options: { cwd?: string } = {}) {
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      ...options,
    }).spawn();
    this.pid = this.servingPid = child.pid;
    this.ended = child.status.finally(() => running.delete(this));
    this.#listen(child.stdout);
    this.#listen(child.stderr);
    running.add(this);
  }

  /** The end of what it printed, for error messages. */
  get said(): string {
    return this.#said.trim();
  }

  /** Asks it to stop; after ten seconds, kills it and every program that it started. */
  async stop(): Promise<void> {
    if (!running.has(this)) return;
    const family = [this.pid, ...await descendants(this.pid)];
    signal(this.servingPid, "SIGTERM");
    if (await endedWithin(this.ended, GRACE_MS)) return;
    for (const pid of family) signal(pid, "SIGKILL");
    await endedWithin(this.ended, GRACE_MS);
  }

  async #listen(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#said = (this.#said + decoder.decode(chunk, { stream: true })).slice(-SAID_CHARS);
    }
  }
}

/** Stops every program and every command that is still running. */
export async function stopAll(): Promise<void> {
  for (const command of commands) command.abort();
  await Promise.all([...running].map((program) => program.stop()));
}

/** What a short command prints. Throws what it printed if it fails or takes too long. */
export async function output(
  command: string,
  args: readonly string[],
  options: { timeoutMs?: number } = {},
): Promise<string> {
  const { timeoutMs = 10_000 } = options;
  const abort = new AbortController();
  commands.add(abort);
  const late = setTimeout(() => abort.abort(), timeoutMs);
  try {
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal: abort.signal,
    }).output();
    const decoder = new TextDecoder();
    if (code === 0) return decoder.decode(stdout);
    const why = decoder.decode(stderr).trim() || `exit code ${code}`;
    throw new Error(`Cannot run ${command}: ${why}`);
  } finally {
    clearTimeout(late);
    commands.delete(abort);
  }
}

/** The memory that a process holds (VmRSS), in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await readProc(`${pid}/status`))?.[1];
  if (kib === undefined) throw new Error(`Cannot read the memory of process ${pid}: no VmRSS`);
  return Number(kib) * 1024;
}

/** The descendants of a process, each parent before its children. */
export async function descendants(pid: number): Promise<number[]> {
  const children = (await readProc(`${pid}/task/${pid}/children`).catch(() => ""))
    .split(" ").filter(Boolean).map(Number);
  return (await Promise.all(children.map(async (child) => [child, ...await descendants(child)])))
    .flat();
}

/** How many files and sockets a program started from here can have open. */
export async function openFilesMax(): Promise<number> {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(await readProc("self/limits"))?.[1];
  return hard === "unlimited" ? Infinity : Number(hard);
}

/** A file of /proc. Deno reads these with --allow-all only, so `cat` does it. */
export function readProc(path: string): Promise<string> {
  return output("cat", [`/proc/${path}`]);
}

/** Waits in milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

async function endedWithin(ended: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((done) => timer = setTimeout(() => done(false), ms));
  const inTime = await Promise.race([ended.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function signal(pid: number, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // it has already exited
  }
}
