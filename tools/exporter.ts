/**
 * Reads the keys of a server batch by batch, each with its value and its expiry, and holds a bounded number
 * of them, however large the values are.
 *
 * @module
 */

import type { Client } from "../client/client.ts";
import { lineOf } from "./export_line.ts";

/** The most keys of a batch. Two batches are read at a time, while a third one is written. */
const BATCH_KEYS_MAX = 500;
/** How many keys the first batch has; each next one has twice as many while values are small. */
const BATCH_KEYS_MIN = 16;
/** The size of a batch in characters, give or take a value. */
const BATCH_SIZE = 8_388_608;

/** What an export needs of a client. */
export type Reader = Pick<Client, "get" | "ttl" | "keys">;

/** Which keys to export. */
export interface Range {
  /** Only keys that begin with this. */
  readonly prefix?: string | undefined;
  /** Only keys that come after this one. */
  readonly after?: string | undefined;
  /** Ends the export after a whole batch. */
  readonly signal: AbortSignal;
}

/** Lines of an export. */
export interface ExportedLines {
  /** The lines of a batch, each with its line feed. */
  readonly text: string;
  /** How many there are. */
  readonly count: number;
  /** How many keys they stand for; some may have expired or been removed since they were listed. */
  readonly keys: number;
  /** The last of these keys. */
  readonly last: string;
}

/** Keys that are being read. */
interface Reading {
  readonly keys: readonly string[];
  readonly lines: Promise<ExportedLines>;
}

/** Yields the lines of a range while reading ahead. Throws what the client throws. */
export async function* exportLines(
  db: Reader,
  { prefix, after, signal }: Range,
): AsyncGenerator<ExportedLines, void, undefined> {
  const listed = db.keys(prefix, { after });
  let waiting: string[] = [];
  let most = BATCH_KEYS_MIN;
  let before: Reading | undefined;
  while (!signal.aborted) {
    while (waiting.length < most) {
      const { value, done } = await listed.next();
      if (done) break;
      waiting.push(value);
    }
    const next = waiting.length > 0 ? read(db, waiting.splice(0, most)) : undefined;
    if (before !== undefined) {
      const lines = await before.lines;
      yield lines;
      most = Math.min(most * 2, BATCH_KEYS_MAX);
      if (lines.keys < before.keys.length) {
        // What is missing comes before what was read meanwhile, and is likely to be as large.
        most = lines.keys;
        waiting = [...before.keys.slice(lines.keys), ...next?.keys ?? [], ...waiting];
        await next?.lines;
        before = undefined;
        continue;
      }
    }
    if (next === undefined) return;
    before = next;
  }
}

function read(db: Reader, keys: readonly string[]): Reading {
  const lines = linesOf(db, keys);
  // If the batch before fails, this one is never awaited.
  lines.catch(() => {});
  return { keys, lines };
}

/**
 * Returns the lines of the first keys, as many as a batch may hold. All are requested at once, and the length
 * of a value is unknown until it arrives: values that arrive when the batch is full are dropped and requested
 * again.
 */
async function linesOf(db: Reader, keys: readonly string[]): Promise<ExportedLines> {
  const values: (string | undefined)[] = [];
  /** In milliseconds since 1970. */
  const expiries: (number | undefined)[] = [];
  let size = 0;
  await Promise.all(keys.flatMap((key, i) => [
    db.get(key).then((value) => {
      // Replies come in the order of the requests, so what is kept is the beginning of the keys.
      if (size < BATCH_SIZE) values.push(value);
      size += value?.length ?? 0;
    }),
    db.ttl(key).then((seconds) => {
      if (seconds !== undefined) expiries[i] = Math.round(Date.now() + seconds * 1_000);
    }),
  ]));
  let text = "";
  let count = 0;
  for (const [i, value] of values.entries()) {
    const expiresAt = expiries[i];
    if (value === undefined || expiresAt === undefined) continue;
    const key = keys[i]!;
    text += lineOf({ key, value, expiresAt: expiresAt === Infinity ? undefined : expiresAt });
    count++;
  }
  return { text, count, keys: values.length, last: keys[values.length - 1]! };
}
