/**
 * Builds load.c, and runs it against a server. Called by main.ts, and its `Drive` by everything
 * that measures.
 *
 * @module
 */
import type { Server } from "./peers.ts";
import { output } from "./processes.ts";

/** What load.c is to do; its first comment explains the modes. */
export interface Load {
  readonly mode?: "run" | "absent" | "fill" | "connect";
  readonly clients: number;
  readonly inFlight: number;
  readonly seconds: number;
  readonly keys: number;
  readonly valueBytes: number;
  /** Percent of the requests that store a value. */
  readonly writes: number;
  /** The number of the first key; 0 where it is left out. */
  readonly first?: number;
}

/** What load.c measured: times in microseconds; the generator's own load as a share of one CPU. */
export interface Figures {
  readonly seconds: number;
  readonly requestsPerS: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly generatorCpu: number;
}

/** Drives a server. Throws if a reply is wrong or missing. */
export type Drive = (server: Server, load: Load) => Promise<Figures>;

/** If the generator uses this share of one CPU or more, it is the limit, not the server. */
export const GENERATOR_CPU_MAX = 0.95;

/** Compiles load.c into the folder. If there is no compiler, the error says what to install. */
export async function buildGenerator(folder: string): Promise<Drive> {
  const program = await buildProgram("load.c", folder);
  const places = await findPlaces();
  return (server, load) => {
    const isAlone = load.clients === 1 && places !== undefined;
    if (!isAlone) return drive([program], { server, load });
    return apart(server, places, (prefix) => drive([...prefix, program], { server, load }));
  };
}

/** Compiles a program of bench/ into the folder, and returns its path. */
export async function buildProgram(name: string, folder: string): Promise<string> {
  const source = `${import.meta.dirname}/${name}`;
  const program = `${folder}/${name.replace(/\.c$/, "")}`;
  try {
    const args = ["-O2", "-std=gnu11", "-pthread", "-o", program, source];
    await output("cc", args, { timeoutMs: 60_000 });
    return program;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      `Cannot build ${name}: there is no C compiler; install gcc or clang (as \`cc\`)`,
    );
  }
}

/** Which processors a lone client and its server run on, as lists for `taskset`. */
interface Places {
  readonly all: string;
  readonly server: string;
  readonly client: string;
}

/** Undefined if there is only one processor, or they can't be chosen. */
async function findPlaces(): Promise<Places | undefined> {
  const last = navigator.hardwareConcurrency - 1;
  if (last === 0) return undefined;
  const places = { all: `0-${last}`, server: `0-${last - 1}`, client: `${last}` };
  try {
    await output("taskset", ["-c", places.all, "true"], { timeoutMs: 1_000 });
    return places;
  } catch (error) {
    console.error(`A lone client may share a processor with its server: ${error}`);
    return undefined;
  }
}

/** Keeps a server off the processor of its only client meanwhile. */
async function apart(
  { pid }: Server,
  places: Places,
  run: (prefix: readonly string[]) => Promise<Figures>,
): Promise<Figures> {
  const place = (cpus: string) =>
    output("taskset", ["--all-tasks", "--cpu-list", "--pid", cpus, `${pid}`], { timeoutMs: 1_000 });
  await place(places.server);
  try {
    return await run(["taskset", "-c", places.client]);
  } finally {
    await place(places.all);
  }
}

async function drive(
  [command, ...prefix]: readonly string[],
  { server, load }: { server: Server; load: Load },
): Promise<Figures> {
  const ms = Math.round(load.seconds * 1000);
  const numbers = [server.port, load.clients, load.inFlight, ms, load.keys, load.valueBytes];
  const protocol = server.protocol === "bare" ? "keyline" : server.protocol;
  const args = [load.mode ?? "run", protocol, ...numbers, load.writes, load.first ?? 0].map(String);
  try {
    return JSON.parse(await output(command!, [...prefix, ...args], { timeoutMs: ms + 60_000 }));
  } catch (cause) {
    const what = `${server.mode} ${server.protocol} with ${JSON.stringify(load)}`;
    throw new Error(`Cannot measure ${what}: ${cause}`, { cause });
  }
}
