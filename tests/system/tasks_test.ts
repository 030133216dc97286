/**
 * The tasks: they choose between the packages of JSR and the stand-ins of `offline/`, whether JSR is reached or
 * not, and nothing in a user's environment changes what they run.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import config from "../../deno.json" with { type: "json" };
import { ROOT, testServer, testWith } from "../support/harness.ts";
import { ProjectCopy } from "../support/project_copy.ts";

/** What a user's environment may hold, and a shell program may expand. */
const VARIABLES = ["MAP", "IMPORT_MAP", "FLAGS", "OPTIONS", "ARGS", "PWD", "OLDPWD", "IFS"];
const NOTICE = "JSR can't be reached: using the stand-ins in offline/\n";
/** The version of the packages that a registry of a test has. */
const VERSION = "1.99.0";

testWith(["read"], "the stand-ins' map has each import of deno.json", () => {
  const importsOf = (file: string): Record<string, string> =>
    JSON.parse(Deno.readTextFileSync(new URL(file, ROOT))).imports;
  const standIns = Object.entries(importsOf("offline/import_map.json"));
  for (const [name, target] of Object.entries(importsOf("deno.json"))) {
    const [, standIn] = standIns.find(([specifier]) => specifier.startsWith(name)) ?? [];
    // The packages of JSR have a file of ours; all others are the same in both.
    assertMatch(standIn ?? "", target.startsWith("jsr:") ? /^\.\/\w+\.ts$/ : /^npm:/, name);
    if (!target.startsWith("jsr:")) assertEquals(standIn, target);
  }
});

Deno.test("no task expands a variable", () => {
  for (const [name, { command }] of Object.entries(config.tasks)) {
    assertEquals(command.replaceAll("$(", "").includes("$"), false, name);
  }
});

for (const isReached of [true, false]) {
  taskTest("a task runs the project, whatever the environment holds", isReached, async (start) => {
    const evil = Object.fromEntries(VARIABLES.map((name) => [name, `${start.folder}/evil.ts`]));
    for (const args of [["--version"], ["--", "--version"]]) {
      const { code, stdout, stderr } = await start.output(args, evil);
      assertEquals(stdout, `keyline ${config.version} (deno ${Deno.version.deno})\n`);
      assertEquals([code, stderr], [0, isReached ? "" : NOTICE]);
    }
  });

  taskTest("a task passes on options and exit codes", isReached, async (start) => {
    const { code, stderr } = await start.output(["--memory", "--port", "a b"]);
    assertMatch(stderr, /Keyline: --port must be [^\n]*"a b"\.\n$/);
    assertEquals(code, 2);
  });

  taskTest("a task passes on a signal", isReached, async (start) => {
    const task = start.spawn(["--memory", "--port", "0"]);
    let text = "";
    for await (const part of task.stdout.pipeThrough(new TextDecoderStream())) {
      if (!text.includes("listens on") && (text + part).includes("listens on")) {
        task.kill("SIGTERM");
      }
      text += part;
    }
    const log = await new Response(task.stderr).text();
    assertEquals((await task.status).code, 0);
    assertMatch(log, /Z info {2}Keyline has stopped [^\n]*\n$/);
  });
}

/** `deno task start` in a copy of the project, by a machine that has nothing of JSR yet. */
interface Start {
  readonly folder: string;
  output(
    args: string[],
    env?: Record<string, string>,
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  spawn(args: string[], env?: Record<string, string>): Deno.ChildProcess;
}

/** Defines a test of the start with a JSR that answers, or with none. */
function taskTest(name: string, isReached: boolean, fn: (start: Start) => Promise<void>): void {
  const title = `${name}, JSR ${isReached ? "reached" : "not reached"}`;
  testServer(title, async () => {
    using project = copyOfProject();
    const folder = project.root.pathname;
    await using registry = serveRegistry();
    const jsr = isReached ? registry.addr.port : 1; // where nobody listens
    const spawn: Start["spawn"] = (args, env) =>
      new Deno.Command(Deno.execPath(), {
        args: ["task", "-q", "start", ...args],
        cwd: folder,
        env: {
          NO_COLOR: "1",
          DENO_DIR: `${folder}/cache`,
          JSR_URL: `http://127.0.0.1:${jsr}/`,
          ...env,
        },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    const output: Start["output"] = async (args, env) => {
      const { code, stdout, stderr } = await spawn(args, env).output();
      const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, stdout: out!, stderr: err! };
    };
    await fn({ folder, output, spawn });
  });
}

/** A copy of the project, with a program in it that nobody asked for. */
function copyOfProject(): ProjectCopy {
  const project = new ProjectCopy();
  Deno.writeTextFileSync(new URL("evil.ts", project.root), 'console.log("EVIL");');
  // Without the packages of npm, which no test should have to get.
  for (const file of ["deno.json", "offline/import_map.json"]) {
    const json = JSON.parse(Deno.readTextFileSync(new URL(file, ROOT)));
    delete json.imports["fast-check"];
    Deno.writeTextFileSync(new URL(file, project.root), JSON.stringify(json));
  }
  return project;
}

/** A registry that looks like JSR, with the stand-ins for packages. */
function serveRegistry(): Deno.HttpServer<Deno.NetAddr> {
  const files = new Map<string, string>();
  for (
    const [name, path, file] of [
      ["assert", ".", "assert.ts"],
      ["streams", "./text-line-stream", "text_line_stream.ts"],
    ] as const
  ) {
    const text = Deno.readTextFileSync(new URL(`offline/${file}`, ROOT));
    const checksum = `sha256-${createHash("sha256").update(text).digest("hex")}`;
    const manifest = { [`/${file}`]: { size: text.length, checksum } };
    const version = { manifest, exports: { [path]: `./${file}` } };
    files.set(`/@std/${name}/meta.json`, JSON.stringify({ versions: { [VERSION]: {} } }));
    files.set(`/@std/${name}/${VERSION}_meta.json`, JSON.stringify(version));
    files.set(`/@std/${name}/${VERSION}/${file}`, text);
  }
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, ({ url }) => {
    const text = files.get(new URL(url).pathname);
    return text === undefined ? new Response(null, { status: 404 }) : new Response(text);
  });
}
