/**
 * Import: stores what an export wrote, or what a redis or memcached server has, in a running server.
 * Run it with `deno task import`, or as `keyline import`.
 *
 * @module
 */

import { fstatSync } from "node:fs";
import process from "node:process";
import { type Account, importAll, type Stop } from "./importer.ts";
import { LineSource } from "./line_source.ts";
import { MemcachedSource } from "./memcached_source.ts";
import { INTERRUPTED, interruptible, program, type Run } from "./program.ts";
import { counted, Meter, QUIET_FLAG } from "./progress.ts";
import { RedisSource } from "./redis_source.ts";
import type { Source } from "./source.ts";
import { enter, nameOf, TARGET_FLAGS, targetOf } from "./target.ts";
import {
  asTyped,
  type Flags,
  type Given,
  oneOf,
  UsageError,
  wholeNumber,
} from "../server/settings/flags.ts";

const FLAGS = {
  ...TARGET_FLAGS,
  from: { hint: "URL", help: "server to read from: redis://, rediss:// or memcached://" },
  "on-error": { hint: "WHAT", help: "stop or skip [stop for lines, skip for servers]" },
  skip: { hint: "LINES", preset: "0", help: "skip the first lines, to go on where it stopped" },
  quiet: QUIET_FLAG,
} as const satisfies Flags;
const FROM_FILE = asTyped("keyline import < FILE");

/** Imports; returns the exit code: 1 if anything was left out or the import stopped. */
export const runImport: Run = program({
  name: "import",
  about: "store the lines of an export, or the keys of another server, in a running server",
  usage: [
    "keyline import [options] < table.jsonl",
    "keyline import [options] --from redis://[[user]:password@]host[:port][/db]",
    "keyline import [options] --from memcached://host[:port]",
  ],
  flags: FLAGS,
  async run(flags) {
    const target = await targetOf(flags);
    const source = sourceOf(flags, target.timeout);
    const onError = flags["on-error"] ?? (source.unit === "line" ? "stop" : "skip");
    const goesOn = oneOf("--on-error", onError, ["stop", "skip"]) === "skip";
    await using db = await enter(target);
    using meter = new Meter({ unit: "keys", quiet: flags.quiet });
    using stopping = interruptible();
    const { signal } = stopping;
    const account = await importAll(db, source, { goesOn, signal, meter });
    const isInterrupted = signal.aborted;
    const { stopped, faults } = account;
    if (!flags.quiet || stopped !== undefined || isInterrupted) {
      meter.note(`Imported ${meter.summary()} into ${nameOf(target)}`);
    }
    for (const line of whatIsLeft(account)) meter.note(line);
    if (stopped !== undefined || isInterrupted) {
      for (const line of howToGoOn(account, source.unit)) meter.note(line);
    }
    if (isInterrupted) return INTERRUPTED;
    return stopped === undefined && faults.size === 0 ? 0 : 1;
  },
});

function sourceOf(flags: Given<typeof FLAGS>, timeout: number): Source {
  const skip = wholeNumber("--skip", flags.skip, { min: 0, max: Number.MAX_SAFE_INTEGER });
  if (flags.from === undefined) {
    if (process.stdin.isTTY) {
      throw new UsageError(`There is nothing to import: give a file, as in ${FROM_FILE}.`);
    }
    return new LineSource(process.stdin, { bytes: bytesOfInput(), skip });
  }
  if (skip > 0) throw new UsageError("--skip counts lines: it can't go with --from.");
  const url = URL.parse(flags.from);
  if (url?.protocol === "redis:" || url?.protocol === "rediss:") {
    return new RedisSource(url, { timeout });
  }
  if (url?.protocol === "memcached:") return new MemcachedSource(url, { timeout });
  throw new UsageError(
    `--from must begin with redis://, rediss:// or memcached://: it is "${flags.from}". ` +
      `A file goes to standard input, as in ${FROM_FILE}.`,
  );
}

/** The size of standard input in bytes, if it is a file. */
function bytesOfInput(): number | undefined {
  try {
    const stat = fstatSync(0);
    return stat.isFile() ? stat.size : undefined;
  } catch {
    return undefined;
  }
}

function whatIsLeft({ expired, faults }: Account): string[] {
  const lines = [...faults].map(([why, count]) => `Left out ${counted(count, "key")}: ${why}`);
  return expired > 0 ? [`Left out ${counted(expired, "key")} that had expired`, ...lines] : lines;
}

function howToGoOn({ stopped, donePlace }: Account, unit: Source["unit"]): string[] {
  const lines: string[] = [];
  if (stopped !== undefined) lines.push(`Stopped at ${unit} ${stopped.place}: ${stopped.why}`);
  if (unit === "key") {
    lines.push(
      "Run it again to go on: keys that are stored already are stored again as they are.",
    );
  } else if (donePlace > 0) {
    lines.push(`Lines up to ${donePlace} are done. Go on with: --skip ${donePlace}`);
  }
  if (stopped?.isItem) lines.push(howToLeaveOut(stopped, unit));
  return lines;
}

function howToLeaveOut({ place }: Stop, unit: Source["unit"]): string {
  return unit === "key"
    ? "Leave out every key that can't be stored with --on-error skip"
    : `Leave out line ${place} with --skip ${place}, or every wrong line with --on-error skip`;
}

if (import.meta.main) process.exitCode = await runImport(process.argv.slice(2));
