/**
 * Many keys in one call: the requests are sent in windows, so their number is unlimited.
 *
 * @module
 */

import type { QueueLimits } from "./backlog.ts";
import { ArgumentError } from "./errors.ts";

/** How many requests of one call are in flight at a time. */
const WINDOW = 1_000;
/** How many characters one call has in flight at a time, or one request. */
const WINDOW_SIZE = 4_194_304;
/** How many characters a line has at most, besides key and value. */
const LINE_REST = 32;

/** Returns the value that `get` gives for each key, in order. Throws what `inWindows` throws. */
export async function getEach(
  keys: Iterable<string>,
  { limits, get }: {
    limits: QueueLimits;
    get: (key: string) => Promise<string | undefined>;
  },
): Promise<(string | undefined)[]> {
  const values: (string | undefined)[] = [];
  for await (const window of inWindows(keys, { limits, sizeOf: lengthOf, send: get })) {
    values.push(...window);
  }
  return values;
}

/** Gives each entry to `put`. Throws what `inWindows` throws. */
export async function putEach(
  entries: Iterable<readonly [key: string, value: string]>,
  { limits, put }: {
    limits: QueueLimits;
    put: (key: string, value: string) => Promise<void>;
  },
): Promise<void> {
  const send = async (entry: readonly [key: string, value: string]) => {
    if (!Array.isArray(entry)) throw new ArgumentError("Cannot send an entry: it is no array");
    await put(entry[0], entry[1]);
  };
  const sizeOf = (entry: readonly string[]) => lengthOf(entry?.[0]) + lengthOf(entry?.[1]);
  for await (const _ of inWindows(entries, { limits, sizeOf, send }));
}

/**
 * Sends each item and returns the results, a window at a time. Throws the first error, or what `items`
 * throws, once nothing is in flight any more.
 */
async function* inWindows<Item, Result>(
  items: Iterable<Item>,
  { limits, sizeOf, send }: {
    limits: QueueLimits;
    sizeOf: (item: Item) => number;
    send: (item: Item) => Promise<Result>;
  },
): AsyncGenerator<Result[], void, undefined> {
  if (typeof items?.[Symbol.iterator] !== "function") {
    throw new ArgumentError("Cannot send the entries: there is nothing to iterate over");
  }
  const countMax = Math.min(WINDOW, limits.queueMax);
  const sizeMax = Math.min(WINDOW_SIZE, limits.queueSizeMax);
  let sent: Promise<Result>[] = [];
  let size = 0;
  try {
    for (const item of items) {
      const added = sizeOf(item) + LINE_REST;
      if (sent.length >= countMax || sent.length > 0 && size + added > sizeMax) {
        yield await resultsOf(sent);
        sent = [];
        size = 0;
      }
      sent.push(send(item));
      size += added;
    }
  } catch (error) {
    await Promise.allSettled(sent);
    throw error;
  }
  yield await resultsOf(sent);
}

/** Waits for all promises. Throws the first error. */
async function resultsOf<Result>(promises: readonly Promise<Result>[]): Promise<Result[]> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

/** The length of a string; anything else is refused when it is sent. */
function lengthOf(text: unknown): number {
  return typeof text === "string" ? text.length : 0;
}
