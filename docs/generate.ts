/**
 * Writes the parts of the documents that repeat the code: the operations, from the files of `commands/`,
 * and the options, from the server's settings. In each document the part stands between two comments.
 * Run it with `deno task docs`; a test fails while a document is stale.
 *
 * @module
 */

import type { OperationInfo } from "../server/command.ts";
import { loadCommands, Registry } from "../server/dispatch/registry.ts";
import { type Option, OPTIONS } from "../server/settings.ts";
import { table } from "./markdown.ts";

const ROOT = new URL("../", import.meta.url);
const START = "<!-- written by deno task docs, up to the next comment -->\n";
const END = "<!-- from here on written by hand -->";

/** The documents that have a generated part, and what makes it. */
export const DOCUMENTS: Readonly<
  Record<string, (operations: readonly OperationInfo[]) => string>
> = {
  "README.md": operationTable,
  "PROTOCOL.md": operationSections,
  "docs/options.md": optionTable,
};

if (import.meta.main) {
  for (const file of Object.keys(DOCUMENTS)) {
    Deno.writeTextFileSync(new URL(file, ROOT), await generate(file));
  }
}

/** A document with its generated part as it should be. Throws an Error if the comments are missing. */
export async function generate(file: string): Promise<string> {
  const operations = [...new Registry(await loadCommands(new URL("commands/", ROOT)))];
  const text = Deno.readTextFileSync(new URL(file, ROOT));
  const from = text.indexOf(START);
  const to = text.indexOf(END);
  if (from < 0 || to < from) {
    throw new Error(`Cannot write ${file}: it lacks the line ${START.trim()} or ${END}`);
  }
  return `${text.slice(0, from)}${START}\n${DOCUMENTS[file]!(operations)}\n\n${text.slice(to)}`;
}

function operationTable(operations: readonly OperationInfo[]): string {
  const rows = operations.map(({ usage, command }) => [code(usage), cell(command.summary)]);
  return table(["request", "what it does"], rows);
}

function operationSections(operations: readonly OperationInfo[]): string {
  return operations.map(({ usage, command: { summary, details, replies } }) => {
    const rows = Object.entries(replies).map(([code, when]) => [code, cell(when)]);
    const paragraphs = details === undefined ? [`${summary}.`] : [`${summary}.`, details];
    return [`### ${code(usage)}`, ...paragraphs, table(["reply", "when"], rows)].join("\n\n");
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

function code(text: string): string {
  return `\`${text}\``;
}

/** A bar would end the cell. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
