/**
 * Export: writes every key of a running server to standard output, with its value and its expiry, one JSON
 * object a line. Run it with `deno task export`, or as `keyline export`.
 *
 * @module
 */

import process from "node:process";
import type { Client } from "../client/client.ts";
import { exportLines, type Range } from "./exporter.ts";
import { INTERRUPTED, onInterrupt, runProgram, writeOut } from "./program.ts";
import { counted, grouped, Meter } from "./progress.ts";
import { quoted } from "./printable.ts";
import { enter, nameOf, TARGET_FLAGS, targetOf } from "./target.ts";
import { type Flags, helpText } from "../server/settings/flags.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  prefix: { hint: "TEXT", help: "only keys that begin with this", mayBeEmpty: true },
  after: { hint: "KEY", help: "only keys that come after this one", mayBeEmpty: true },
  quiet: { help: "show no progress" },
  help: { help: "show this and end", noVariable: true },
} as const satisfies Flags;

const HELP = helpText(
  "keyline export: write every key of a running server as a line of JSON",
  { usage: "keyline export [options] > table.jsonl", flags: FLAGS },
);
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

/** Writes the keys of a range; returns the last one. Each batch is read while the last one is written. */
async function exportKeys(
  db: Client,
  meter: Meter,
  { total, ...range }: Range & { total: number | undefined },
): Promise<string | undefined> {
  let last: string | undefined;
  let seen = 0;
  let writing = Promise.resolve();
  for await (const lines of exportLines(db, range)) {
    await writing;
    writing = writeOut(lines.text).then(() => {
      last = lines.last;
      seen += lines.keys;
      meter.done += lines.count;
      if (total) meter.fraction = seen / total;
    });
    // If reading fails first, it is never awaited.
    writing.catch(() => {});
  }
  await writing;
  return last;
}

function summary(meter: Meter): string {
  const seconds = meter.milliseconds / 1_000;
  const rate = grouped(meter.done / Math.max(seconds, 0.001));
  return `${counted(meter.done, "key")} in ${seconds.toFixed(1)} s, ${rate}/s,`;
}
