/**
 * Import: stores what an export wrote, or what a redis or memcached server has, in a running server.
 * Run it with `deno task import`, or as `keyline import`.
 *
 * @module
 */

import { fstatSync } from "node:fs";
import process from "node:process";
import { type Account, importAll } from "./importer.ts";
import { LineSource } from "./line_source.ts";
import { MemcachedSource } from "./memcached_source.ts";
import { INTERRUPTED, onInterrupt, runProgram, writeOut } from "./program.ts";
import { grouped, Meter } from "./progress.ts";
import { RedisSource } from "./redis_source.ts";
import type { Source } from "./source.ts";
import { nameOf, reach, TARGET_FLAGS, targetOf } from "./target.ts";
import {
  type Flags,
  type Given,
  helpText,
  oneOf,
  readFlags,
  UsageError,
  wholeNumber,
} from "./usage.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  from: { hint: "URL", help: "a server to read: redis://, rediss:// or memcached://" },
  "on-error": { hint: "WHAT", help: "stop or skip [stop for lines, skip for servers]" },
  skip: {
    hint: "LINES",
    preset: "0",
    help: "leave out the first lines, to go on where it stopped",
  },
  quiet: { help: "show no progress" },
  help: { help: "show this and end" },
} as const satisfies Flags;

const HELP = helpText(
  "keyline import: store what an export wrote, or what another server has, in a running server",
  {
    usage: "keyline import [options] < table.jsonl\n" +
      "       keyline import [options] --from redis://[[user]:password@]host[:port][/db]\n" +
      "       keyline import [options] --from memcached://host[:port]",
    flags: FLAGS,
  },
);

if (import.meta.main) process.exitCode = await runImport(process.argv.slice(2));

/** Imports; returns the exit code: 1 where anything was left out or the import stopped. */
export function runImport(args: readonly string[]): Promise<number> {
  return runProgram("import", async () => {
    const flags = readFlags(args, FLAGS);
    if (flags.help) {
      await writeOut(HELP);
      return 0;
    }
    const source = sourceOf(flags);
    const onError = flags["on-error"] ?? (source.unit === "line" ? "stop" : "skip");
    const goesOn = oneOf("on-error", { text: onError, words: ["stop", "skip"] }) === "skip";
    const target = await targetOf(flags);
    await using db = await reach(target);
    using meter = new Meter({ unit: "keys", quiet: flags.quiet });
    const stopping = new AbortController();
    using _interrupt = onInterrupt(() => stopping.abort());
    const { signal } = stopping;
    const account = await importAll(db, source, { goesOn, signal, meter });
    const isInterrupted = signal.aborted;
    report(account, { meter, source, isInterrupted, place: nameOf(target), quiet: flags.quiet });
    if (isInterrupted) return INTERRUPTED;
    return account.stopped === undefined && account.faults.size === 0 ? 0 : 1;
  });
}

function sourceOf(flags: Given<typeof FLAGS>): Source {
  const skip = wholeNumber("skip", { text: flags.skip, min: 0, max: Number.MAX_SAFE_INTEGER });
  if (flags.from === undefined) {
    if (process.stdin.isTTY) {
      throw new UsageError("There is nothing to import: give a file, as in keyline import < FILE.");
    }
    return new LineSource(process.stdin, { bytes: bytesOfInput(), skip });
  }
  if (skip > 0) throw new UsageError("--skip counts lines: it can't go with --from.");
  const url = URL.parse(flags.from);
  if (url?.protocol === "redis:" || url?.protocol === "rediss:") return new RedisSource(url);
  if (url?.protocol === "memcached:") return new MemcachedSource(url);
  throw new UsageError(
    `--from must begin with redis://, rediss:// or memcached://: it is "${flags.from}".`,
  );
}

/** How many bytes standard input has, where it is a file. */
function bytesOfInput(): number | undefined {
  try {
    const stat = fstatSync(0);
    return stat.isFile() ? stat.size : undefined;
  } catch {
    return undefined;
  }
}

function report(
  account: Account,
  { meter, source, isInterrupted, place, quiet }: {
    meter: Meter;
    source: Source;
    isInterrupted: boolean;
    place: string;
    quiet: boolean;
  },
): void {
  const { stored, ended, faults, stopped, donePlace } = account;
  const seconds = Math.max(meter.milliseconds / 1_000, 0.001);
  const rate = `${grouped(stored)} keys in ${seconds.toFixed(1)} s, ${grouped(stored / seconds)}/s`;
  if (!quiet || stopped !== undefined || isInterrupted) {
    meter.note(`Imported ${rate}, into ${place}`);
  }
  if (ended > 0) meter.note(`Left out ${grouped(ended)} that had ended`);
  for (const [why, count] of faults) meter.note(`Left out ${grouped(count)}: ${why}`);
  const isOfLines = source.unit === "line";
  if (stopped !== undefined) {
    const where = isOfLines ? `line ${stopped.place}` : `key ${stopped.place}`;
    meter.note(`Stopped at ${where}: ${stopped.why}`);
  }
  if (stopped === undefined && !isInterrupted) return;
  if (!isOfLines) {
    meter.note("Run it again to go on: what is stored already is stored again as it is.");
    return;
  }
  meter.note(`Lines up to ${donePlace} are done. Go on with: --skip ${donePlace}`);
  if (stopped?.isItem) {
    meter.note(
      `Or leave line ${stopped.place} out with --skip ${stopped.place}, or all that are wrong with --on-error skip`,
    );
  }
}
