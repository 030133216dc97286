/**
 * One program, several uses: which one its first argument names.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { TARGET_FLAGS } from "../../tools/target.ts";
import type { Flag } from "../../server/settings/flags.ts";
import { findSubcommand } from "../../tools/subcommands.ts";
import { ROOT, runServer, ServerProcess, tempFolder, testWith } from "../support/harness.ts";

const ALL = ["net", "read", "write", "run", "env"] as const;
/** The uses that talk to a server, and those that read the table itself. */
const OF_A_SERVER = ["shell", "top", "import", "export"] as const;
const OF_A_TABLE = ["backup", "restore", "check", "log"] as const;

Deno.test("without a use, and with serve, the arguments are the server's", () => {
  for (const given of [["--port", "1"], ["serve", "--port", "1"], ["--", "serve", "--port", "1"]]) {
    assertEquals(findSubcommand(given), { run: undefined, args: ["--port", "1"] });
  }
});

testWith(["read"], "the page of the tools has the options that all of them take", () => {
  const page = Deno.readTextFileSync(new URL("docs/tools.md", ROOT));
  for (const [name, flag] of Object.entries<Flag>(TARGET_FLAGS)) {
    const option = `\`--${name}${flag.hint === undefined ? "" : ` ${flag.hint}`}\``;
    const preset = flag.preset === undefined ? "" : `\`${flag.preset}\``;
    const row = page.split("\n").find((line) => line.startsWith(`| ${option} `)) ?? "";
    const cells = row.split("|").slice(1, -1).map((cell) => cell.trim());
    assertEquals(cells, [option, preset, flag.help]);
  }
});

testWith(
  ALL,
  "each use has its own help, with what to type in a checkout, and the server's names them all",
  async () => {
    for (const use of [...OF_A_SERVER, ...OF_A_TABLE]) {
      const { code, stdout, stderr } = await runServer([use, "--help"]);
      assertEquals([code, stderr], [0, ""]);
      const task = use === "check" ? "check:table" : use;
      assert(task in config.tasks, task);
      assertMatch(stdout, new RegExp(`^keyline ${use}: .*\n\nUsage: deno task ${task} `));
      assertMatch((await runServer(["--help"])).stdout, new RegExp(`\n  deno task ${task} `));
    }
  },
);

testWith(ALL, "each task of a use has its help", async () => {
  for (const task of ["start", ...OF_A_SERVER, "backup", "restore", "check:table", "log"]) {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", task, "--help"],
      cwd: ROOT.pathname,
    }).output();
    assertEquals(code, 0, task);
    assertMatch(new TextDecoder().decode(stdout), /\n {2}--help /, task);
  }
});

Deno.test("what reads a table may not connect, and what only reads may not write", () => {
  const { backup, log } = config.permissions;
  assertEquals([Object.keys(backup), Object.keys(log)], [["read", "write", "env"], [
    "read",
    "env",
  ]]);
  for (
    const [task, permissions] of [["backup"], ["restore", "backup"], ["check:table", "backup"], [
      "log",
    ]]
  ) {
    const { command } = config.tasks[task as "backup"];
    assertStringIncludes(command, ` -P=${permissions ?? task} `);
  }
});

testWith(ALL, "each use does its work when it is called by its name", async () => {
  const folder = tempFolder();
  try {
    await using server = await ServerProcess.start();
    const port = ["--port", String(server.port)];
    assertEquals((await runServer(["shell", ...port])).code, 0);
    assertEquals((await runServer(["import", ...port])).code, 0);
    assertEquals((await runServer(["export", "--quiet", ...port])).stdout, "");
    const backup = await runServer(["backup", `${folder}/copy`, "--data", server.data]);
    assertEquals(backup.code, 0, backup.stderr);
    assertEquals(
      (await runServer(["restore", `${folder}/copy`, "--data", `${folder}/new`])).code,
      0,
    );
    assertEquals((await runServer(["check", `${folder}/new`])).code, 0);
    assertMatch((await runServer(["log", server.data])).stdout, /^segment offset turn .* key\n$/);
    assertEquals((await runServer(["serve", "--memory", "--port", "x"])).code, 2);
    assertEquals((await runServer(["nonsense"])).code, 2);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
