/**
 * How tests wait for a server: bounded in time, and no longer than it takes.
 *
 * @module
 */

import type { Client } from "./client.ts";

/** How long to wait for a condition, in milliseconds: long enough for a busy machine. */
const WAIT_MS_MAX = 30_000;
/** How long between two looks, in milliseconds. */
const LOOK_MS = 10;

/** Waits until a condition holds. Throws what was waited for if it does not within half a minute. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  for (const end = performance.now() + WAIT_MS_MAX; performance.now() < end; await delay(LOOK_MS)) {
    if (await holds()) return;
  }
  throw new Error(`Waited in vain: ${what}`);
}

/** Waits until so many connections are left, as STATS has it. */
export function connectionsAre(client: Client, count: number): Promise<void> {
  return eventually(
    `${count} connections`,
    async () => await figureOf(client, "connections") === count,
  );
}

/** One of the figures that STATS lists; undefined where it is not listed. */
export async function figureOf(client: Client, name: string): Promise<number | undefined> {
  await client.send("STATS\n");
  const line = (await client.reply()).find((line) => line.startsWith(`200-${name} `));
  return line === undefined ? undefined : Number(line.split(" ")[1]);
}

/** Waits for so many milliseconds, for what no condition shows. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
