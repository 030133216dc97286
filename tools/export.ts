/**
 * Export: writes every key of a running server to standard output, with its value and its expiry, one JSON
 * object a line. Run it with `deno task export`, or as `keyline export`.
 *
 * @module
 */

import process from "node:process";
import type { Client } from "../client/client.ts";
import { exportLines, type Range } from "./exporter.ts";
import { INTERRUPTED, interruptible, program, type Run, writeOut } from "./program.ts";
import { counted, Meter, QUIET_FLAG } from "./progress.ts";
import { quoted } from "./printable.ts";
import { enter, nameOf, TARGET_FLAGS, targetOf } from "./target.ts";

/** Exports; returns the exit code. */
export const runExport: Run = program({
  name: "export",
  about: "write every key of a running server as a line of JSON",
  usage: ["keyline export [options] > table.jsonl"],
  flags: {
    ...TARGET_FLAGS,
    prefix: { hint: "TEXT", help: "only keys that begin with this", mayBeEmpty: true },
    after: { hint: "KEY", help: "only keys that come after this one", mayBeEmpty: true },
    quiet: QUIET_FLAG,
  },
  async run({ prefix, after, quiet, ...flags }) {
    const target = await targetOf(flags);
    await using db = await enter(target);
    using meter = new Meter({ unit: "keys", quiet });
    using stopping = interruptible();
    const total = prefix === undefined && after === undefined ? await db.count() : undefined;
    const range = { prefix, after, total, signal: stopping.signal };
    const last = await exportKeys(db, meter, range);
    if (stopping.signal.aborted) {
      const goOn = last === undefined ? "" : ` Go on with: --after ${quoted(last)}`;
      meter.note(`Stopped after ${counted(meter.done, "key")} of ${nameOf(target)}.${goOn}`);
      return INTERRUPTED;
    }
    if (!quiet) meter.note(`Exported ${meter.summary()} from ${nameOf(target)}`);
    return 0;
  },
});

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

if (import.meta.main) process.exitCode = await runExport(process.argv.slice(2));
