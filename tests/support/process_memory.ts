/**
 * What a server costs, seen from outside: its memory in /proc, and the bytes that the kernel holds for its
 * clients. Linux alone.
 *
 * @module
 */

import type { ServerProcess } from "./harness.ts";

/** Bytes of a mebibyte. */
export const MIB = 1_048_576;
/** What garbage may add to a measured figure, in bytes: V8 and malloc don't give all back at once. */
export const GARBAGE_BYTES = 48 * MIB;

/** How many bytes the kernel holds on the way from one port of this machine to another. */
export function queued(from: number, to: number): number {
  const sockets = readProc("net/tcp");
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  const queues = (here: number, there: number) =>
    new RegExp(`:${hex(here)} \\w+:${hex(there)} \\w+ (\\w+):(\\w+)`).exec(sockets) ?? [];
  const [, sending = "0"] = queues(from, to);
  const [, , received = "0"] = queues(to, from);
  return parseInt(sending, 16) + parseInt(received, 16);
}

/** The resident memory of a server, in bytes. */
export function memoryOf({ pid }: ServerProcess): number {
  return 1_024 * Number(/^VmRSS:\s+(\d+)/m.exec(readProc(`${pid}/status`))![1]);
}

/** A file of /proc; by a program, because Deno reads /proc only with all permissions. */
function readProc(path: string): string {
  const { stdout } = new Deno.Command("cat", { args: [`/proc/${path}`] }).outputSync();
  return new TextDecoder().decode(stdout);
}

/** Prints a figure for a person who runs the tests by hand. */
export function report(text: string): void {
  console.log(text);
}

/** So many bytes, in words. */
export function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
