/**
 * Export: writes every key of a running server to standard output, with its value and its expiry, as a
 * line of JSON each. Run it with `deno task export`, or as `keyline export`.
 *
 * @module
 */

import process from "node:process";
import type { Client } from "../client/client.ts";
import { INTERRUPTED, onInterrupt, runProgram, writeOut } from "./program.ts";
import { counted, grouped, Meter } from "./progress.ts";
import { lineOf } from "./record.ts";
import { enter, nameOf, TARGET_FLAGS, targetOf } from "./target.ts";
import { type Flags, helpText } from "./usage.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  prefix: { hint: "TEXT", help: "only keys that begin with this" },
  after: { hint: "KEY", help: "only keys that come after this one" },
  quiet: { help: "show no progress" },
  help: { help: "show this and end" },
} as const satisfies Flags;

const HELP = helpText(
  "keyline export: write every key of a running server as a line of JSON",
  { usage: "keyline export [options] > table.jsonl", flags: FLAGS },
);
/** The most keys of a batch; two batches are held at a time. */
const BATCH_KEYS_MAX = 500;
/** The size that a batch aims at, in characters, judged by an earlier one. */
const BATCH_SIZE = 8_388_608;

if (import.meta.main) process.exitCode = await runExport(process.argv.slice(2));

/** Exports; returns the exit code. */
export function runExport(args: readonly string[]): Promise<number> {
  return runProgram(args, {
    name: "export",
    flags: FLAGS,
    help: HELP,
    async run({ prefix, after, quiet, ...flags }) {
      const target = await targetOf(flags);
      await using db = await enter(target);
      using meter = new Meter({ unit: "keys", quiet });
      const stopping = new AbortController();
      using _interrupt = onInterrupt(() => stopping.abort());
      const total = prefix === undefined && after === undefined ? await db.count() : undefined;
      const range = { prefix, after, total, signal: stopping.signal };
      const last = await exportKeys(db, meter, range);
      if (stopping.signal.aborted) {
        const goOn = last === undefined ? "" : ` Go on with: --after ${quoted(last)}`;
        meter.note(`Stopped after ${counted(meter.done, "key")} of ${nameOf(target)}.${goOn}`);
        return INTERRUPTED;
      }
      if (!quiet) meter.note(`Exported ${summary(meter)} from ${nameOf(target)}`);
      return 0;
    },
  });
}

/** Writes the keys of a range; returns the last one. Each batch is read while the last is written. */
async function exportKeys(db: Client, meter: Meter, { prefix, after, total, signal }: {
  prefix: string | undefined;
  after: string | undefined;
  total: number | undefined;
  signal: AbortSignal;
}): Promise<string | undefined> {
  let last: string | undefined;
  let seen = 0;
  let batchMax = BATCH_KEYS_MAX / 10;
  let writing = Promise.resolve();
  const write = async (keys: readonly string[], lines: ReturnType<typeof linesOf>) => {
    const { text, count } = await lines;
    await writeOut(text);
    const size = Math.max(1, text.length / keys.length);
    batchMax = Math.max(1, Math.min(BATCH_KEYS_MAX, Math.floor(BATCH_SIZE / size)));
    last = keys.at(-1);
    seen += keys.length;
    meter.done += count;
    if (total) meter.fraction = seen / total;
  };
  const begin = async (keys: readonly string[]) => {
    const lines = linesOf(db, keys);
    // If the batch before fails, this one is never awaited.
    lines.catch(() => {});
    await writing;
    writing = write(keys, lines);
    writing.catch(() => {});
  };
  let keys: string[] = [];
  for await (const key of db.keys(prefix, { after })) {
    if (signal.aborted) break;
    if (keys.push(key) < batchMax) continue;
    await begin(keys);
    keys = [];
  }
  if (keys.length > 0 && !signal.aborted) await begin(keys);
  await writing;
  return last;
}

/** Returns the lines of keys, without those that have expired or were removed since they were listed. */
async function linesOf(
  db: Client,
  keys: readonly string[],
): Promise<{ text: string; count: number }> {
  const [values, expiries] = await Promise.all([
    Promise.all(keys.map((key) => db.get(key))),
    Promise.all(keys.map((key) => db.ttl(key).then(expiryOf))),
  ]);
  let text = "";
  let count = 0;
  for (const [i, key] of keys.entries()) {
    const value = values[i];
    const expiresAt = expiries[i];
    if (value === undefined || expiresAt === undefined) continue;
    text += lineOf({ key, value, expiresAt: expiresAt === Infinity ? undefined : expiresAt });
    count++;
  }
  return { text, count };
}

/** When a key expires that has this many seconds left, in milliseconds since 1970. */
function expiryOf(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(Date.now() + seconds * 1_000);
}

function summary(meter: Meter): string {
  const seconds = meter.milliseconds / 1_000;
  const rate = grouped(meter.done / Math.max(seconds, 0.001));
  return `${counted(meter.done, "key")} in ${seconds.toFixed(1)} s, ${rate}/s,`;
}

/** Returns a key as a word of the command line. */
function quoted(key: string): string {
  return /^[\w.:/@%+=-]+$/.test(key) ? key : `'${key.replaceAll("'", `'\\''`)}'`;
}
