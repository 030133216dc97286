/**
 * Holds the documents to the code: generated parts are fresh, sessions are replayed, tables compared with
 * the registry, the options and the data folder, and quoted files with the files.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { mainTable, moreTable } from "../../bench/report.ts";
import type { Results } from "../../bench/results.ts";
import config from "../../deno.json" with { type: "json" };
import { DOCUMENTS, fill, generate } from "../../docs/generate.ts";
import { answer } from "../support/answer.ts";
import { ALERT_NAMES } from "../../server/observe/alerts.ts";
import { fullName } from "../../admin/exposition.ts";
import { STATS } from "../../server/observe/stats.ts";
import { type Option, OPTIONS } from "../../server/settings/settings.ts";
import { Line } from "../../server/input/line.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { contextOfAll } from "../support/context.ts";
import { ROOT, ServerProcess, testWith, testWithProgram } from "../support/harness.ts";

const SERVER = ["net", "read", "write", "run", "env"] as const;
const MIB = 1_048_576;

testWith(["read"], "the documents have what deno task docs writes", async () => {
  for (const file of Object.keys(DOCUMENTS)) {
    // Where lines break is a matter of deno fmt, which deno task check runs.
    const words = (text: string) => text.split(/\s+/).join(" ");
    const message = `${file} is stale: run deno task docs`;
    assertEquals(words(read(file)), words(await generate(file)), message);
  }
});

testWith(["read"], "deno task docs refuses a document that lacks its comments", () => {
  const text = read("PROTOCOL.md");
  const [start] = /<!-- written.*?-->\n/.exec(text)!;
  for (const broken of [text.replace(start, ""), text.split("<!-- from")[0]!, text + start]) {
    assertThrows(() => fill("X.md", { text: broken, parts: [""] }), Error, "Cannot write X.md");
  }
  assertEquals(fill("X.md", { text, parts: ["new"] }).split(start)[1]!.split("\n")[1], "new");
});

for (const [file, count] of [["README.md", 1], ["docs/recipes.md", 5]] as const) {
  testWith(["read"], `the sessions of ${file} run as they are printed`, async () => {
    const sessions = sessionsOf(read(file));
    assertEquals(sessions.length, count);
    for (const session of sessions) {
      const now = () => 0; // so that TTL shows what EXPIRE was given
      const context = await contextOfAll({ table: new MemoryTable({ now }), now });
      for (const { request, replies } of session) {
        const reply = await answer(Line.of(request), context);
        assertEquals(reply.wire.split("\r\n").slice(0, -1), replies, request);
      }
    }
  });
}

testWith(SERVER, "the README's session runs on a socket", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  const [session = []] = sessionsOf(read("README.md"));
  for (const { request, replies } of session) {
    await client.send(`${request}\r\n`);
    assertEquals(await client.reply(), replies, request);
  }
  assertEquals(await client.rest(), "");
});

testWithProgram("nc", "a value survives kill -9 as the README shows it", async () => {
  const [, block] = /```console\n(.*?)```/s.exec(read("README.md"))!;
  await using first = await ServerProcess.start();
  const { data } = first;
  await using servers = new AsyncDisposableStack();
  let server = first;
  for (const step of block!.split("$ ").slice(1)) {
    const [command, ...output] = step.trimEnd().split("\n");
    assert(!command!.startsWith("deno ") || command === "deno task start &", command);
    if (command === "deno task start &") {
      await server.status();
      server = servers.use(await ServerProcess.start({ data }));
    } else {
      const line = command!.replace(" 5395", ` ${server.port}`).replace("data/", `${data}/`);
      assertEquals(await shell(line), output, command);
    }
  }
  assert(server !== first, "it starts the server again");
});

testWith(["read"], "the README's table of operations is the registry's", async () => {
  const rows = tableUnder("## Operations");
  const { registry } = await contextOfAll();
  assertEquals(rows, [...registry].map(({ usage, command }) => [`\`${usage}\``, command.summary]));
});

testWith(["read"], "the page on the service names metrics that there are, and every alert", () => {
  assertEquals(
    tableUnder("## What fails", "docs/service.md").flatMap(([name]) => words(name!)),
    ALERT_NAMES,
  );
  const known = new Set(STATS.map(fullName));
  const named = read("docs/service.md").match(/\b(keyline|process)_[a-z_]+/g)!;
  assert(named.length > 10, `${named}`);
  for (const name of named) assert(known.has(name.replace(/_bucket$/, "")), name);
});

testWith(["read"], "the table of options is the one that the server reads", () => {
  const rows = Object.entries<Option>(OPTIONS).map(([name, { hint, preset, help }]) => [
    `\`--${name}${hint === undefined ? "" : ` ${hint}`}\``,
    preset === undefined ? "" : `\`${preset}\``,
    help,
  ]);
  assertEquals(tableUnder("# Options", "docs/options.md"), rows);
});

testWith(
  ["read"],
  "the page on operations quotes a whole command file and names each field",
  () => {
    const page = read("docs/adding-an-operation.md");
    assertEquals(/```ts\n(.*?)```/s.exec(page)?.[1], read("commands/get.ts"));
    const [, body] = /export interface Command<.*?\{\n(.*?)\n\}/s.exec(read("server/command.ts"))!;
    const fields = [...body!.matchAll(/^ {2}(?:readonly )?(\w+)[?]?[:(]/gm)].map(([, name]) =>
      name!
    );
    assertEquals(namesUnder("## The fields", "docs/adding-an-operation.md"), fields.toSorted());
  },
);

testWith(["read"], "the README's way through the source names each folder of it once", () => {
  const ignored = read(".gitignore").split("\n");
  const folders = foldersIn("").filter((folder) => !ignored.includes(`/${folder}`));
  const parts = ["server/", "commands/", "tables/"].flatMap(foldersIn);
  const named = namesUnder("## Reading the source", "README.md");
  assertEquals(named, ["main.ts", ...folders, ...parts].toSorted());
});

testWith(["read"], "PROTOCOL.md has each operation with its summary and every reply", async () => {
  const text = read("PROTOCOL.md");
  const { registry } = await contextOfAll();
  for (const { usage, command } of registry) {
    const [, section = ""] = text.split(`### \`${usage}\`\n`);
    assertStringIncludes(section.split("\n###")[0]!, `${command.summary}.`);
    const rows = tableIn(section);
    assertEquals(rows, Object.entries(command.replies).map(([code, when]) => [code, when]), usage);
  }
  assertEquals(text.split("\n### ").length - 1, registry.size, "it has no others");
});

testWith(
  ["read"],
  "the page on security names the permissions, and what needs no password",
  async () => {
    const heading = "## What the process is allowed to do";
    const named = tableUnder(heading, "docs/security.md").flatMap(([names]) => words(names!));
    assertEquals(named.toSorted(), Object.keys(config.permissions.default).toSorted());
    const { registry } = await contextOfAll();
    const open = [...registry].filter(({ command }) => command.open).map(({ verb }) => verb);
    const [, verbs] = /a connection can use (.*?) only/s.exec(read("docs/security.md"))!;
    assertEquals(words(verbs!), open);
  },
);

testWith(
  SERVER,
  "the page on durability names the files of a folder, and their sizes",
  async () => {
    await using server = await ServerProcess.start();
    const rows = tableUnder("## The folder", "docs/durability.md");
    const files = [...Deno.readDirSync(server.data)].map(({ name }) => name);
    assertEquals(rows.flatMap(([names]) => words(names!)).toSorted(), files.toSorted());
    for (const [names, what] of rows.filter(([, what]) => what!.includes("MiB"))) {
      for (const name of words(names!)) {
        const { size } = Deno.statSync(`${server.data}/${name}`);
        assertStringIncludes(what!, `${size / MIB} MiB`, name);
      }
    }
  },
);

testWith(["read"], "the drawings of the architecture name what the source has", () => {
  const sources = ["server", "tables"].flatMap(sourcesIn).map(read);
  const drawings = [...read("docs/architecture.md").matchAll(/```text\n(.*?)```/gs)];
  const named = drawings.flatMap(([, drawing]) => [...drawing!.matchAll(/\b([A-Z]\w+)\.(\w+)/g)]);
  assert(named.length >= 5, "there are some");
  for (const [both, type, method] of named) {
    const declares = new RegExp(`(class|interface) ${type}\\b.*^ {2}${method}\\(`, "ms");
    assert(sources.some((source) => declares.test(source)), both);
  }
});

testWith(["read"], "a folder of the source imports from those that the architecture allows", () => {
  const rows = tableUnder("## What may import what", "docs/architecture.md");
  const documented = new Map(rows.map(([folder, from]) => [words(folder!)[0]!, words(from!)]));
  const imported = new Map<string, Set<string>>();
  for (const file of sourcesIn("").filter((file) => !file.startsWith("tests/"))) {
    const folder = folderOf(file);
    const from = imported.get(folder) ?? new Set();
    imported.set(folder, from);
    for (
      const [, path] of read(file).matchAll(
        /(?:from |import\(|import |new URL\()"(\.[^"]+\.(?:ts|js|json))"/g,
      )
    ) {
      const target = folderOf(new URL(path!, `file:///${file}`).pathname.slice(1));
      if (target !== folder) from.add(target);
    }
  }
  assertEquals([...documented.keys()].toSorted(), [...imported.keys()].toSorted());
  for (const [folder, from] of imported) {
    assertEquals(documented.get(folder)!.toSorted(), [...from].toSorted(), folder);
  }
});

testWith(["read"], "the benchmarks' tables are what was measured", () => {
  const results: Results = JSON.parse(read("bench/results.json"));
  assertStringIncludes(read("bench/RESULTS.md"), mainTable(results));
  assertStringIncludes(read("bench/RESULTS.md"), moreTable(results));
});

testWith(["read"], "CONTRIBUTING.md and the tests name the same variables and defaults", () => {
  const rows = tableUnder("## Tests", "CONTRIBUTING.md");
  const tests = sourcesIn("tests").map(read).join();
  const used = new Set(tests.match(/KEYLINE_(TEST|FUZZ)_[A-Z]+/g));
  assertEquals(rows.flatMap(([name]) => words(name!)).toSorted(), [...used].toSorted());
  for (const [name, , preset] of rows) {
    const number = new RegExp(`"${words(name!)[0]}"\\)?,? (?:\\|\\| )?([\\d_]+)[;)]`, "g");
    const presets = [...tests.matchAll(number)].map(([, digits]) =>
      Number(digits!.replace("_", ""))
    );
    if (presets.length === 0) continue;
    const [low, high] = [Math.min(...presets), Math.max(...presets)];
    assertEquals(preset, low === high ? String(low) : `${low} to ${high}`, name);
  }
});

/** What a command of the shell prints, line by line. */
async function shell(command: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  return new TextDecoder().decode(stdout).split(/\r?\n/).filter((line) => line !== "");
}

/** The folders in a folder, hidden ones left out, as `server/turn/`. */
function foldersIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder || ".", ROOT))]
    .filter(({ name, isDirectory }) => isDirectory && !name.startsWith("."))
    .map(({ name }) => `${folder}${name}/`);
}

/** The folder that a file is in, or the file itself where it is in none. */
function folderOf(file: string): string {
  return file.includes("/") ? file.slice(0, file.lastIndexOf("/") + 1) : file;
}

/** The sources in a folder and in those within it, hidden ones left out. */
function sourcesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder || ".", ROOT))].flatMap(({ name, isDirectory }) => {
    if (name.startsWith(".")) return [];
    const path = folder === "" ? name : `${folder}/${name}`;
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

/** What stands in backticks, in order. */
function words(markdown: string): string[] {
  return [...markdown.matchAll(/`(.*?)`/g)].map(([, word]) => word!);
}

/** The names in the first column of a table, sorted. */
function namesUnder(heading: string, file: string): string[] {
  return tableUnder(heading, file).flatMap(([name]) => words(name!)).toSorted();
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
