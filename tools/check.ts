/**
 * Check: reads a whole table, verifies every checksum, and reports damage; with `--salvage`, it copies what
 * is intact. Run it with `deno task check:table FOLDER`, or as `keyline check FOLDER`.
 *
 * @module
 */

import process from "node:process";
import { describeDamage, salvage } from "../tables/durable/copy.ts";
import { Inspection, type Steps } from "../tables/durable/inspection.ts";
import { openReadOnly } from "../tables/durable/read_only_table.ts";
import { printable } from "./printable.ts";
import { INTERRUPTED, program, type Run, writeOut } from "./program.ts";
import { counted, Meter, QUIET_FLAG } from "./progress.ts";
import { runSteps } from "./table_work.ts";

const NOTES = `\
It prints what is there, each place that is damaged, and each key whose newest value is lost. The exit
code is 0 if all is whole, and otherwise 1.
`;

/** Checks a table; returns the exit code. */
export const runCheck: Run = program({
  name: "check",
  about: "verify a folder, even while a server uses it, or a backup",
  usage: ["keyline check FOLDER|FILE [options]"],
  flags: {
    salvage: {
      hint: "NEWFOLDER",
      help: "copy what is whole to this folder, which is empty or not there",
    },
    quiet: QUIET_FLAG,
  },
  operands: ["FOLDER|FILE"],
  notes: NOTES,
  async run({ salvage: folder, quiet }, [path]) {
    using meter = new Meter({ unit: "keys", quiet });
    const steps = folder === undefined ? inspect(path!) : salvage(path!, folder);
    const done = await runSteps(steps, meter);
    if (done === undefined) return INTERRUPTED;
    const { found } = done;
    await writeOut(reportOf(found));
    const isWhole = found.damage.length === 0;
    if (folder !== undefined) {
      const keys = counted(found.memtable.size, "key");
      meter.note(`Copied ${keys} from ${path} to ${folder}`);
    } else if (isWhole) meter.note(`${path} is whole`);
    else meter.note(adviceFor(path!));
    return isWhole ? 0 : 1;
  },
});

function* inspect(path: string): Steps<{ found: Inspection }> {
  using table = openReadOnly(path);
  return { found: yield* Inspection.of(table) };
}

/** The findings, one a line. */
function reportOf(found: Inspection): string {
  const { path, memtable, segments, indexes, sequence, damage, lost } = found;
  const live = memtable.liveBytes.total;
  const read = segments.reduce((sum, { end }) => sum + end, 0);
  const lines = [
    `keys ${memtable.size}`,
    `segments ${segments.length}`,
    `indexes ${indexes}`,
    `live_bytes ${live}`,
    `dead_bytes ${read - live}`,
    `last_turn ${sequence}`,
    `damaged_places ${damage.length}`,
    `lost_keys ${countOf(found)}`,
    ...damage.map((each) => `damage: ${path}: ${describeDamage(each)}`),
    ...[...lost].map(([key, place]) => `lost: ${key}, at byte ${place}`),
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}

/** How many keys are lost, as far as anything says so. */
function countOf({ lost, mayHaveLostMore }: Inspection): string {
  if (!mayHaveLostMore) return String(lost.size);
  return lost.size === 0 ? "unknown" : `${lost.size} or more`;
}

function adviceFor(path: string): string {
  return `${path} is damaged. Restore a backup; or copy what is whole, with --salvage NEWFOLDER: there the ` +
    "lost keys are missing, and what was changed where the log can't be read is as it was before";
}

if (import.meta.main) process.exitCode = await runCheck(process.argv.slice(2));
