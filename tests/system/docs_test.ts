/**
 * Holds the documents to the code: sessions are replayed, tables compared with the registry and the
 * options, and quoted files with the files.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { mainTable, moreTable, shortTable } from "../../bench/report.ts";
import type { Results } from "../../bench/results.ts";
import { answer } from "../../server/dispatch/gate.ts";
import { type Option, OPTIONS } from "../../server/settings.ts";
import { Line } from "../../server/input/line.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { contextOver, ROOT, ServerProcess, testWith } from "../support/harness.ts";

testWith(["read"], "the README's sessions run as they are printed", async () => {
  const sessions = sessionsOf(read("README.md"));
  assert(sessions.length >= 5, "there are some");
  for (const session of sessions) {
    const now = () => 0; // so that TTL shows what EXPIRE was given
    const context = await contextOver(new MemoryTable(now), { now });
    for (const { request, replies } of session) {
      const reply = await answer(Line.of(request), context);
      assertEquals(reply.wire.split("\r\n").slice(0, -1), replies, request);
    }
  }
});

testWith(
  ["net", "read", "write", "run", "env"],
  "the README's first session runs on a socket",
  async () => {
    await using server = await ServerProcess.start();
    using client = await server.connect();
    const [session = []] = sessionsOf(read("README.md"));
    for (const { request, replies } of session) {
      await client.send(`${request}\r\n`);
      assertEquals(await client.reply(), replies, request);
    }
    assertEquals(await client.rest(), "");
  },
);

testWith(["read"], "the README's table of operations is the registry's", async () => {
  const rows = tableUnder("## Operations");
  const { registry } = await contextOver();
  assertEquals(rows, [...registry].map(({ usage, command }) => [`\`${usage}\``, command.summary]));
});

testWith(["read"], "the README's table of options is the one that the server reads", () => {
  const rows = Object.entries<Option>(OPTIONS).map(([name, { hint, preset, help }]) => [
    `\`--${name}${hint === undefined ? "" : ` ${hint}`}\``,
    preset === undefined ? "" : `\`${preset}\``,
    help,
  ]);
  assertEquals(tableUnder("## Options"), rows);
});

testWith(["read"], "the README quotes a whole command file", () => {
  const quoted = /```ts\n(.*?)```/s.exec(read("README.md"))?.[1];
  assertEquals(quoted, read("commands/get.ts"));
});

testWith(["read"], "the README's way through the source names each folder of it once", () => {
  const named = tableUnder("## Reading the source").map(([place]) => place!.replaceAll("`", ""));
  const folders = ["server", "commands", "tables"].flatMap((folder) => [
    `${folder}/`,
    ...[...Deno.readDirSync(new URL(`${folder}/`, ROOT))]
      .filter(({ isDirectory }) => isDirectory).map(({ name }) => `${folder}/${name}/`),
  ]);
  assertEquals(named.toSorted(), ["main.ts", ...folders].toSorted());
});

testWith(["read"], "PROTOCOL.md has each operation with its summary and every reply", async () => {
  const text = read("PROTOCOL.md");
  const { registry } = await contextOver();
  for (const { usage, command } of registry) {
    const [, section = ""] = text.split(`### \`${usage}\`\n`);
    assertStringIncludes(section.split("\n###")[0]!, `${command.summary}.\n`);
    const rows = tableIn(section);
    assertEquals(rows, Object.entries(command.replies).map(([code, when]) => [code, when]), usage);
  }
  assertEquals(text.split("\n### ").length - 1, registry.size, "it has no others");
});

testWith(["read"], "the benchmarks' tables are what was measured", () => {
  const results: Results = JSON.parse(read("bench/results.json"));
  assertStringIncludes(read("README.md"), shortTable(results));
  assertStringIncludes(read("bench/RESULTS.md"), mainTable(results));
  assertStringIncludes(read("bench/RESULTS.md"), moreTable(results));
});

testWith(["read"], "CONTRIBUTING.md and the tests name the same variables", () => {
  const named = tableUnder("## Tests", "CONTRIBUTING.md").map(([name]) =>
    name!.replaceAll("`", "")
  );
  const tests = sourcesIn("tests").map(read);
  const used = new Set(tests.join().match(/KEYLINE_(TEST|FUZZ)_[A-Z]+/g));
  assertEquals(named.toSorted(), [...used].toSorted());
});

/** The sources in a folder and in those within it. */
function sourcesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? sourcesIn(path) : path.endsWith(".ts") ? [path] : [];
  });
}

function read(file: string): string {
  return Deno.readTextFileSync(new URL(file, ROOT));
}

interface Exchange {
  readonly request: string;
  replies: string[];
}

/** The blocks of text in which lines that begin with a code answer the lines before them. */
function sessionsOf(markdown: string): Exchange[][] {
  const blocks = [...markdown.matchAll(/```text\n(.*?)```/gs)].map(([, block]) => block!);
  return blocks.map((block) => {
    const exchanges: Exchange[] = [];
    for (const line of block.split("\n").filter((line) => line !== "" && !line.startsWith("$"))) {
      if (/^\d{3}[ -]/.test(line)) exchanges.at(-1)!.replies.push(line);
      else exchanges.push({ request: line, replies: [] });
    }
    return exchanges;
  });
}

/** The rows of the first table under a heading, cell by cell, without its head. */
function tableUnder(heading: string, file = "README.md"): string[][] {
  const [, section] = read(file).split(`${heading}\n`);
  assert(section !== undefined, `there is a heading ${heading}`);
  return tableIn(section);
}

function tableIn(markdown: string): string[][] {
  const [table = ""] = /^\|.*\|$(\n\|.*\|$)*/m.exec(markdown) ?? [];
  return table.split("\n").slice(2).map((row) =>
    row.split("|").slice(1, -1).map((cell) => cell.trim())
  );
}
