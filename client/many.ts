/**
 * Many keys at once: windows of requests that travel together, so that there may be any number of
 * them.
 *
 * @module
 */

import type { Client, PutOptions } from "./client.ts";
import type { CallOptions } from "./request.ts";

/** How many requests of one call are under way at a time. */
const WINDOW = 1_000;
/** How many characters of values are under way at a time, give or take one. */
const WINDOW_SIZE = 4_194_304;

/** The value of each key. Throws the first error. */
export async function getEach(
  client: Client,
  keys: Iterable<string>,
  options?: CallOptions,
): Promise<(string | undefined)[]> {
  const values: (string | undefined)[] = [];
  let under: Promise<string | undefined>[] = [];
  const finish = async () => {
    for (const value of await Promise.all(under)) values.push(value);
    under = [];
  };
  for (const key of keys) {
    if (under.push(client.get(key, options)) >= WINDOW) await finish();
  }
  await finish();
  return values;
}

/** Stores each value. Throws the first error, once nothing is under way any more. */
export async function putEach(
  client: Client,
  entries: Iterable<readonly [key: string, value: string]>,
  options?: PutOptions,
): Promise<void> {
  let under: Promise<void>[] = [];
  let size = 0;
  const finish = async () => {
    const results = await Promise.allSettled(under);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    under = [];
    size = 0;
  };
  for (const [key, value] of entries) {
    size += key.length + value.length;
    if (under.push(client.put(key, value, options)) >= WINDOW || size >= WINDOW_SIZE) {
      await finish();
    }
  }
  await finish();
}
