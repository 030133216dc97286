/**
 * Writes the parts of the documents that repeat the code: the operations, from the files of `commands/`,
 * the options, from the server's settings, and the figures of the benchmark. Each part stands between two
 * comments. Run it with `deno task docs`; a test fails while a document is stale.
 *
 * @module
 */

import { shortReport } from "../bench/report.ts";
import type { OperationInfo } from "../server/command.ts";
import { loadCommands, Registry } from "../server/dispatch/registry.ts";
import { type Option, OPTIONS } from "../server/settings.ts";
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

/** A document with its generated parts as they should be. Throws an Error if comments are missing. */
export async function generate(file: string): Promise<string> {
  const operations = [...new Registry(await loadCommands(new URL("commands/", ROOT)))];
  const makers = DOCUMENTS[file]!;
  const [first, ...parts] = read(file).split(START);
  if (parts.length !== makers.length || !parts.every((part) => part.includes(END))) {
    throw new Error(
      `Cannot write ${file}: it needs ${makers.length} times ${START.trim()} and ${END}.`,
    );
  }
  const written = parts.map((part, i) =>
    `${START}\n${makers[i]!(operations)}\n\n${part.slice(part.indexOf(END))}`
  );
  return first + written.join("");
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
