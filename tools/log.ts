/**
 * Log: prints the records of a table's log, for people who debug. Run it with `deno task log FOLDER`, or as
 * `keyline log FOLDER`.
 *
 * @module
 */

import process from "node:process";
import { KIND } from "../tables/change.ts";
import { Inspection } from "../tables/durable/inspection.ts";
import type { RecordPiece } from "../tables/durable/log/pieces.ts";
import type { Segment } from "../tables/durable/log/segment.ts";
import { INDEX_KIND } from "../tables/durable/log/segment_index.ts";
import { openReadOnly } from "../tables/durable/read_only_table.ts";
import { printable } from "./printable.ts";
import { program, type Run, say, writeOut } from "./program.ts";

const NOTES = `\
Each line is a record: its segment, its offset in the file, its turn, what it does, the lengths of key and
value, the version, when the key expires, and the key.
`;

const HEAD = "segment offset turn kind key_bytes value_bytes version expires key\n";
const NAMES = new Map<number, string>([
  [KIND.PUT, "put"],
  [KIND.DELETE, "delete"],
  [KIND.CLEAR, "clear"],
  [INDEX_KIND, "index"],
]);
/** How many characters are written at a time. */
const TEXT_MIN = 65_536;

/** Prints a log; returns the exit code. */
export const runLog: Run = program({
  name: "log",
  about: "print the records of a table's log, for people who debug",
  usage: ["keyline log FOLDER|FILE"],
  flags: {},
  operands: ["FOLDER|FILE"],
  notes: NOTES,
  run: (_flags, [path]) => printLog(path!),
});

async function printLog(path: string): Promise<number> {
  using table = openReadOnly(path);
  let isWhole = table.stateError === undefined;
  if (!isWhole) say(`keyline log: ${path}: ${table.stateError}`);
  let text = HEAD;
  for (const { segment, piece } of new Inspection(table).pieces()) {
    if (piece.kind === "record") text += lineOf(segment, piece);
    if (piece.kind === "damage") {
      const place = segment.start + piece.offset;
      text += `${segment.number} ${place} ? damaged ${
        piece.end - piece.offset
      } bytes: a ${piece.what}\n`;
      isWhole = false;
    }
    if (text.length < TEXT_MIN) continue;
    await writeOut(text);
    text = "";
  }
  await writeOut(text);
  return isWhole ? 0 : 1;
}

function lineOf(segment: Segment, { offset, sequence, change }: RecordPiece): string {
  const { kind, key, value, version, expiresAt } = change;
  const fields = [
    segment.number,
    segment.start + offset,
    sequence ?? "?",
    NAMES.get(kind),
    key.length,
    value.length,
    version,
    expiresAt === 0 ? "-" : timeOf(expiresAt),
    printable(String(key)),
  ];
  return `${fields.join(" ").trimEnd()}\n`;
}

/** A time as people write it, or its milliseconds if it is out of the range of dates. */
function timeOf(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString();
}

if (import.meta.main) process.exitCode = await runLog(process.argv.slice(2));
