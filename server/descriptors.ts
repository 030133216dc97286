/**
 * The file descriptors of this process, and how many clients they suffice for. Checked at the start, because
 * without a descriptor a client can be neither served nor refused, and a health check can't be answered.
 *
 * @module
 */

import { closeSync, openSync } from "node:fs";
import { logEvent } from "./observe/event_log.ts";

/** How many are reserved from clients: for the admin port, pending refusals, files, and an engine. */
const RESERVE = 128;
/** What anybody may open. */
const NOTHING = "/dev/null";

/** A descriptor that is held for a moment. */
export interface Descriptor {
  /** Gives it back. */
  close(): void;
}

/** The file descriptors of this process. */
export interface Descriptors {
  /** How many clients to serve at a time: as many as are wanted, or as fit. */
  readonly clients: number;
  /** How many were in use at the start. */
  readonly used: number;
  /** How many there can be; if there are plenty, as many as were looked for. */
  readonly max: number;
  /** Whether there are too few for the wanted number of clients. */
  readonly areShort: boolean;
}

/** Finds out how many descriptors there are. Logs it if fewer clients fit than are wanted. */
export function surveyDescriptors(
  wanted: number,
  { open = openNothing, used = usedDescriptors() }: { open?: () => Descriptor; used?: number } = {},
): Descriptors {
  const free = freeDescriptors(wanted + RESERVE, open);
  const fitting = free - Math.min(RESERVE, Math.floor(free / 2));
  const areShort = fitting < wanted;
  const clients = areShort ? fitting : wanted;
  if (areShort) {
    logEvent(
      "warn",
      "The system gives too few file descriptors for --max-connections: see ulimit -n",
      { asked: wanted, served: fitting },
    );
  }
  return { clients, used, max: used + free, areShort };
}

/**
 * How many descriptors are in use: the system gives the lowest free one, so its number says how many come
 * before it. 0 if unknown, as on Windows.
 */
export function usedDescriptors(): number {
  if (Deno.build.os === "windows") return 0;
  const lowest = openSync(NOTHING, "r");
  closeSync(lowest);
  return lowest;
}

/**
 * How many descriptors are free, up to a number that is enough. It opens them to find out, which takes some
 * milliseconds: Deno denies access to the limit in /proc, which not every system has anyway.
 */
function freeDescriptors(enough: number, open: () => Descriptor): number {
  const held: Descriptor[] = [];
  try {
    while (held.length < enough) held.push(open());
    return enough;
  } catch (error) {
    // If opening fails for another reason, as on Windows, the limit is unknown.
    return (error as { code?: string }).code === "EMFILE" ? held.length : enough;
  } finally {
    for (const descriptor of held) descriptor.close();
  }
}

function openNothing(): Descriptor {
  return Deno.openSync(NOTHING);
}
