/**
 * Writes the parts of the documents that repeat the code: the operations, from the files of `commands/`, the
 * options, from the server's settings, and the benchmark figures. Each part is between two comments. Run it
 * with `deno task docs`; a test fails while a document is stale.
 *
 * @module
 */

import { shortReport } from "../bench/report.ts";
import type { OperationInfo } from "../server/command.ts";
import { loadCommands, Registry } from "../server/dispatch/registry.ts";
import { type Option, OPTIONS } from "../server/settings/settings.ts";
import { table } from "./markdown.ts";

const ROOT = new URL("../", import.meta.url);
const START = "<!-- written by deno task docs, up to the next comment -->\n";
const END = "<!-- from here on written by hand -->";

/** The documents that have generated parts, and what makes each of them, in order. */
export const DOCUMENTS: Readonly<
  Record<string, readonly ((operations: readonly OperationInfo[]) => string)[]>
> = {
  "README.md": [operationTable, benchmarkTable],
  "PROTOCOL.md": [operationSections],
  "docs/options.md": [optionTable],
};

if (import.meta.main) {
  for (const file of Object.keys(DOCUMENTS)) {
    Deno.writeTextFileSync(new URL(file, ROOT), await generate(file));
  }
}

/** A document with its generated parts as they should be. Throws what `fill` throws. */
export async function generate(file: string): Promise<string> {
  const operations = [...new Registry(await loadCommands(new URL("commands/", ROOT)))];
  return fill(file, { text: read(file), parts: DOCUMENTS[file]!.map((make) => make(operations)) });
}

/** Puts parts between the comments of a document, in order. Throws an Error if there are not as many. */
export function fill(
  file: string,
  { text, parts }: { text: string; parts: readonly string[] },
): string {
  const [first, ...rest] = text.split(START);
  if (rest.length !== parts.length || !rest.every((part) => part.includes(END))) {
    throw new Error(
      `Cannot write ${file}: it needs ${START.trim()} and ${END} ${parts.length} times.`,
    );
  }
  return first +
    rest.map((old, i) => `${START}\n${parts[i]}\n\n${old.slice(old.indexOf(END))}`).join("");
}

function operationTable(operations: readonly OperationInfo[]): string {
  const rows = operations.map(({ usage, command }) => [code(usage), cell(command.summary)]);
  return table(["request", "what it does"], rows);
}

function operationSections(operations: readonly OperationInfo[]): string {
  return operations.map(({ usage, command: { summary, details, open, replies } }) => {
    const rows = Object.entries(replies).map(([code, when]) => [code, cell(when)]);
    const first = open ? `${summary}. It needs no password.` : `${summary}.`;
    return [`### ${code(usage)}`, first, details, table(["reply", "when"], rows)]
      .filter((paragraph) => paragraph !== undefined).join("\n\n");
  }).join("\n\n");
}

function optionTable(): string {
  const rows = Object.entries<Option>(OPTIONS).map(([name, { hint, preset, help }]) => [
    code(hint === undefined ? `--${name}` : `--${name} ${hint}`),
    preset === undefined ? "" : code(preset),
    cell(help),
  ]);
  return table(["option", "default", "what it sets"], rows);
}

function benchmarkTable(): string {
  return shortReport(JSON.parse(read("bench/results.json")));
}

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, ROOT));
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
