/**
 * Export: every key with its value and its end, a JSON object a line, to standard output. It talks to
 * a running server as any client does, some hundred keys at a time. Run it with `deno task export`, or
 * as `keyline export`.
 *
 * @module
 */

import process from "node:process";
import type { Client } from "../client/client.ts";
import { INTERRUPTED, onInterrupt, runProgram, writeOut } from "./program.ts";
import { grouped, Meter } from "./progress.ts";
import { lineOf } from "./record.ts";
import { nameOf, reach, TARGET_FLAGS, targetOf } from "./target.ts";
import { type Flags, helpText, readFlags } from "./usage.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  prefix: { hint: "TEXT", help: "only keys that begin with this" },
  after: { hint: "KEY", help: "only keys that come after this one" },
  quiet: { help: "show no progress" },
  help: { help: "show this and end" },
} as const satisfies Flags;

const HELP = helpText(
  "keyline export: write every key of a running server, a JSON object a line",
  { usage: "keyline export [options] > table.jsonl", flags: FLAGS },
);
/** How many keys are asked for at once, at most. */
const BATCH_KEYS_MAX = 500;
/** How many characters a batch is to have, as far as the one before it tells. */
const BATCH_SIZE = 8_388_608;

if (import.meta.main) process.exitCode = await runExport(process.argv.slice(2));

/** Exports; returns the exit code. */
export function runExport(args: readonly string[]): Promise<number> {
  return runProgram("export", async () => {
    const flags = readFlags(args, FLAGS);
    if (flags.help) {
      await writeOut(HELP);
      return 0;
    }
    const target = await targetOf(flags);
    await using db = await reach(target);
    using meter = new Meter({ unit: "keys", quiet: flags.quiet });
    const stopping = new AbortController();
    using _interrupt = onInterrupt(() => stopping.abort());
    const { prefix, after } = flags;
    const total = prefix === undefined && after === undefined ? await db.count() : undefined;
    const range = { prefix, after, total, signal: stopping.signal };
    const last = await exportKeys(db, meter, range);
    if (stopping.signal.aborted) {
      const goOn = last === undefined ? "" : ` Go on with: --after ${quoted(last)}`;
      meter.note(`Stopped after ${grouped(meter.done)} keys of ${nameOf(target)}.${goOn}`);
      return INTERRUPTED;
    }
    if (!flags.quiet) meter.note(`Exported ${summary(meter)} of ${nameOf(target)}`);
    return 0;
  });
}

/** Writes the keys of a range; returns the last. */
async function exportKeys(db: Client, meter: Meter, { prefix, after, total, signal }: {
  prefix: string | undefined;
  after: string | undefined;
  total: number | undefined;
  signal: AbortSignal;
}): Promise<string | undefined> {
  let last: string | undefined;
  let seen = 0;
  let batchMax = BATCH_KEYS_MAX / 10;
  let keys: string[] = [];
  const finish = async () => {
    const { text, count } = await linesOf(db, keys);
    await writeOut(text);
    const size = Math.max(1, text.length / keys.length);
    batchMax = Math.max(1, Math.min(BATCH_KEYS_MAX, Math.floor(BATCH_SIZE / size)));
    last = keys.at(-1);
    seen += keys.length;
    meter.done += count;
    if (total) meter.fraction = seen / total;
    keys = [];
  };
  for await (const key of db.keys(prefix, { after })) {
    if (keys.push(key) >= batchMax) await finish();
    if (signal.aborted) return last;
  }
  if (keys.length > 0) await finish();
  return last;
}

/** The lines of keys. One that has ended or was removed since it was listed has none. */
async function linesOf(
  db: Client,
  keys: readonly string[],
): Promise<{ text: string; count: number }> {
  const [found, ends] = await Promise.all([
    Promise.all(keys.map((key) => db.get(key))),
    Promise.all(keys.map((key) => db.ttl(key).then(endOf))),
  ]);
  let text = "";
  let count = 0;
  for (const [i, key] of keys.entries()) {
    const value = found[i];
    const end = ends[i];
    if (value === undefined || end === undefined) continue;
    text += lineOf({ key, value, expiresAt: end === Infinity ? undefined : end });
    count++;
  }
  return { text, count };
}

/** When something ends that has this many seconds left, in milliseconds since 1970. */
function endOf(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(Date.now() + seconds * 1_000);
}

function summary(meter: Meter): string {
  const seconds = meter.milliseconds / 1_000;
  return `${grouped(meter.done)} keys in ${seconds.toFixed(1)} s, ` +
    `${grouped(meter.done / Math.max(seconds, 0.001))}/s`;
}

/** A key as a shell takes it. */
function quoted(key: string): string {
  return /^[\w.:/@%+=-]+$/.test(key) ? key : `'${key.replaceAll("'", `'\\''`)}'`;
}
