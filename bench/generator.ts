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
  const source = `${import.meta.dirname}/load.c`;
  const program = `${folder}/load`;
  try {
    await output("cc", ["-O2", "-std=gnu11", "-o", program, source], { timeoutMs: 60_000 });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("Cannot build load.c: there is no C compiler; install gcc or clang (as `cc`)");
  }
  return (server, load) => drive(program, { server, load });
}

async function drive(
  program: string,
  { server, load }: { server: Server; load: Load },
): Promise<Figures> {
  const ms = Math.round(load.seconds * 1000);
  const numbers = [server.port, load.clients, load.inFlight, ms, load.keys, load.valueBytes];
  const protocol = server.protocol === "bare" ? "keyline" : server.protocol;
  const args = [load.mode ?? "run", protocol, ...numbers, load.writes].map(String);
  try {
    return JSON.parse(await output(program, args, { timeoutMs: ms + 60_000 }));
  } catch (cause) {
    const what = `${server.mode} ${server.protocol} with ${JSON.stringify(load)}`;
    throw new Error(`Cannot measure ${what}: ${cause}`, { cause });
  }
}
