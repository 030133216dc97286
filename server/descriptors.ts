/**
 * How many clients fit into the file descriptors that the system gives to this process. The start asks,
 * because a client that finds none is neither served nor refused, and nor is a probe of health.
 *
 * @module
 */

import { logEvent } from "./event_log.ts";

/** What clients leave to others: the admin port, refusals that are on their way, files, an engine. */
const RESERVE = 128;

/** A descriptor that is held for a moment. */
export interface Descriptor {
  /** Gives it back. */
  close(): void;
}

/** How many clients to serve at a time: as many as are wanted, or as fit; then the log says so. */
export function clientsThatFit(wanted: number, open: () => Descriptor = openNothing): number {
  const free = freeDescriptors(wanted + RESERVE, open);
  const fitting = free - Math.min(RESERVE, Math.floor(free / 2));
  if (fitting >= wanted) return wanted;
  logEvent(
    "warn",
    "The system gives too few file descriptors for --max-connections: see ulimit -n",
    {
      asked: wanted,
      served: fitting,
    },
  );
  return fitting;
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
  return Deno.openSync("/dev/null");
}
