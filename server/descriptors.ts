/**
 * The file descriptors that the system gives to this process, and how many clients fit into them. The start asks,
 * because a client that finds none is neither served nor refused, and nor is a probe of health.
 *
 * @module
 */

import { closeSync, openSync } from "node:fs";
import { logEvent } from "./observe/event_log.ts";

/** What clients leave to others: the admin port, refusals that are on their way, files, an engine. */
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
  /** How many there can be; where there are enough, as many as were looked for. */
  readonly max: number;
  /** Whether there are too few for as many clients as are wanted. */
  readonly areShort: boolean;
}

/** Finds out how many descriptors there are. Logs it where fewer clients fit than are wanted. */
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
 * How many descriptors are in use: the system gives the lowest that is free, so that its number says how many
 * come before it. 0 where that can't be known, such as on Windows.
 */
export function usedDescriptors(): number {
  if (Deno.build.os === "windows") return 0;
  const lowest = openSync(NOTHING, "r");
  closeSync(lowest);
  return lowest;
}

/**
 * How many descriptors are free, up to a number that is enough. They are opened to know it, in some
 * milliseconds: Deno hides the limit, which is in /proc, and not every system has that.
 */
function freeDescriptors(enough: number, open: () => Descriptor): number {
  const held: Descriptor[] = [];
  try {
    while (held.length < enough) held.push(open());
    return enough;
  } catch (error) {
    // Where nothing can be opened for another reason, such as on Windows, the limit is not known.
    return (error as { code?: string }).code === "EMFILE" ? held.length : enough;
  } finally {
    for (const descriptor of held) descriptor.close();
  }
}

function openNothing(): Descriptor {
  return Deno.openSync(NOTHING);
}
