/**
 * The tasks: they choose between the packages of JSR and the stand-ins of `offline/`, whether JSR is reached or
 * not, and nothing in a user's environment changes what they run.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import config from "../../deno.json" with { type: "json" };
import { ROOT, testServer, testWith } from "../support/harness.ts";
import { ProjectCopy } from "../support/project_copy.ts";

/** What a user's environment may hold, and a shell program may expand. */
const VARIABLES = ["MAP", "IMPORT_MAP", "FLAGS", "OPTIONS", "ARGS", "PWD", "OLDPWD", "IFS"];
const NOTICE =
  "JSR can't be reached: using the stand-ins in offline/, until you remove .jsr_away\n";
/** What the lock file pins of JSR for the server. */
const STREAMS = "@std/streams@1.0.17";
const LOCKS = ["deno.lock", "tests/deno.lock"] as const;

/** A lock file of Deno. */
interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly jsr: Readonly<Record<string, { integrity: string }>>;
  readonly npm: Readonly<Record<string, { integrity: string }>>;
}

testWith(["read"], "the stand-ins' map has each import of deno.json", () => {
  const standIns = Object.entries(readJson("offline/import_map.json").imports);
  for (const [name, target] of Object.entries(config.imports)) {
    assertMatch(target, /^jsr:@std\/\w+@\d+\.\d+\.\d+$/, "one exact version");
    const [, standIn] = standIns.find(([specifier]) => specifier.startsWith(name)) ?? [];
    assertMatch(String(standIn), /^\.\/\w+\.ts$/, name);
  }
});

testWith(
  ["read"],
  "the lock files have a checksum of each package, and the name of no host",
  () => {
    for (const file of LOCKS) {
      const { jsr, npm }: Lock = readJson(file);
      for (const [name, { integrity }] of Object.entries({ ...jsr, ...npm })) {
        assertMatch(integrity, name in jsr ? /^[0-9a-f]{64}$/ : /^sha512-[\w+/]{86}==$/, name);
      }
      assertEquals(Deno.readTextFileSync(new URL(file, ROOT)).match(/\w+:\/\/|\.tgz/), null);
    }
  },
);

testWith(["read"], "what the server runs is what the tests run", () => {
  const [server, tests] = LOCKS.map((file): Lock => readJson(file));
  for (const part of ["specifiers", "jsr", "npm"] as const) {
    const pinned = Object.keys(server![part]);
    assert(pinned.length > 0, part);
    for (const name of pinned) assertEquals(tests![part][name], server![part][name], name);
  }
});

testWith(["read"], "every task that runs or tests the project holds to a lock file", () => {
  for (const [name, { command }] of Object.entries(config.tasks)) {
    // The tools and the documents import nothing from elsewhere, and may not.
    const isHeld = /--lock=(tests\/)?deno\.lock --frozen/;
    for (const [run] of command.matchAll(/deno (run|test|check|cache|compile) [^&]*/g)) {
      assertMatch(run, / (tools|docs)\/\w+\.ts/.test(run) ? / --cached-only / : isHeld, name);
      assertMatch(run, /deno (check|cache)|--no-prompt/, name);
    }
  }
  assertMatch(config.tasks.start.command, / --cached-only --lock=deno\.lock /);
});

testWith(["read"], "each package of npm is imported at one exact version, which is locked", () => {
  const { specifiers }: Lock = readJson("tests/deno.lock");
  const imported = new Set<string>();
  for (const text of sourceTexts(ROOT)) {
    for (const [, name] of text.matchAll(/"(npm:[^"$]+?@[^"/]+)(?:\/[^"@]*)?"/g)) {
      imported.add(name!);
    }
  }
  const locked = Object.keys(specifiers).filter((name) => name.startsWith("npm:"));
  assertEquals([...imported].toSorted(), locked.toSorted());
  for (const name of locked) assertMatch(name, /@\d+\.\d+\.\d+$/);
  const names = locked.map((name) => name.slice(0, name.lastIndexOf("@")));
  assertEquals(new Set(names).size, names.length);
});

Deno.test("no task expands a variable", () => {
  for (const [name, { command }] of Object.entries(config.tasks)) {
    assertEquals(command.replaceAll("$(", "").includes("$"), false, name);
  }
});

for (const jsr of ["reached", "away"] as const) {
  taskTest("a task runs the project, whatever the environment holds", jsr, async (start) => {
    const evil = Object.fromEntries(VARIABLES.map((name) => [name, `${start.folder}/evil.ts`]));
    for (const args of [["--version"], ["--", "--version"]]) {
      const { code, stdout, stderr } = await start.output(args, evil);
      assertEquals(stdout, `keyline ${config.version} (deno ${Deno.version.deno})\n`);
      assertEquals([code, stderr], [0, jsr === "reached" ? "" : NOTICE]);
    }
  });

  taskTest("a task passes on options and exit codes", jsr, async (start) => {
    const { code, stderr } = await start.output(["--memory", "--port", "a b"]);
    assertMatch(stderr, /Keyline: --port must be [^\n]*"a b"\.\n$/);
    assertEquals(code, 2);
  });

  taskTest("a task passes on a signal", jsr, async (start) => {
    const { code, log } = await start.serve();
    assertEquals(code, 0);
    assertMatch(log, /Z info {2}Keyline has stopped [^\n]*\n$/);
  });
}

taskTest("a first start fetches @std/streams and nothing else", "reached", async (start) => {
  const { log } = await start.serve();
  assertMatch(log, /^[^\n]* Keyline has started [^\n]*\n[^\n]*\n$/, "one line before the banner");
  assert(start.asked.length > 0, "it asks JSR");
  assertEquals(start.asked.filter((path) => !path.startsWith("/@std/streams/")), []);
  const before = start.asked.length;
  await start.serve();
  assertEquals(start.asked.length, before, "it asks once");
});

taskTest("a JSR that accepts and never answers is asked once", "silent", async (start) => {
  for (const _ of [1, 2]) {
    const { code, log } = await start.serve();
    assertEquals([code, log.startsWith(NOTICE)], [0, true], log);
    assertEquals(log.split("\n").length, 4, "two lines before the banner, one after it");
  }
  assertEquals(start.asked, ["/@std/streams/meta.json"]);
});

taskTest(
  "a package with another checksum than the lock file's is not run",
  "forged",
  async (start) => {
    const { code, log } = await start.serve();
    assertMatch(log, /^error: Integrity check failed for package\./);
    assert(code !== 0 && !log.includes("Keyline has started"), log);
  },
);

/** What there is of JSR: all is well; it is not there; it never answers; its files are others. */
type Jsr = "reached" | "away" | "silent" | "forged";

/** `deno task start` in a copy of the project, by a machine that has no package yet, and no npm. */
interface Start {
  readonly folder: string;
  /** What JSR was asked for, and npm's registry. */
  readonly asked: readonly string[];
  output(
    args: string[],
    env?: Record<string, string>,
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Starts a server, stops it once it listens, and returns its exit code and its log. */
  serve(): Promise<{ code: number; log: string }>;
}

function taskTest(name: string, jsr: Jsr, fn: (start: Start) => Promise<void>): void {
  testServer(`${name}, JSR ${jsr}`, async () => {
    using project = new ProjectCopy();
    Deno.writeTextFileSync(new URL("evil.ts", project.root), 'console.log("EVIL");');
    const folder = project.root.pathname;
    const asked: string[] = [];
    await using registry = serveRegistry(jsr, { asked, lock: new URL("deno.lock", project.root) });
    const port = jsr === "away" ? 1 : registry.addr.port; // on 1 nobody listens
    const spawn = (args: string[], env?: Record<string, string>) =>
      new Deno.Command(Deno.execPath(), {
        args: ["task", "-q", "start", ...args],
        cwd: folder,
        env: {
          NO_COLOR: "1",
          DENO_DIR: `${folder}/cache`,
          JSR_URL: `http://127.0.0.1:${port}/`,
          NPM_CONFIG_REGISTRY: `http://127.0.0.1:${registry.addr.port}/npm/`,
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
    const serve: Start["serve"] = async () => {
      const task = spawn(["--memory", "--port", "0"]);
      let text = "";
      for await (const part of task.stdout.pipeThrough(new TextDecoderStream())) {
        const isStarted = text.includes("listens on");
        text += part;
        if (!isStarted && text.includes("listens on")) task.kill("SIGTERM");
      }
      const log = await new Response(task.stderr).text();
      return { code: (await task.status).code, log };
    };
    await fn({ folder, asked, output, serve });
  });
}

/** A registry that looks like JSR, with the stand-in for its package, which the lock file of the copy pins. */
function serveRegistry(
  jsr: Jsr,
  { asked, lock }: { asked: string[]; lock: URL },
): Deno.HttpServer<Deno.NetAddr> {
  const text = Deno.readTextFileSync(new URL("offline/text_line_stream.ts", ROOT));
  const manifest = {
    "/text_line_stream.ts": { size: text.length, checksum: `sha256-${hash(text)}` },
  };
  const exports = { "./text-line-stream": "./text_line_stream.ts" };
  const meta = JSON.stringify({ manifest, exports });
  const [, version] = STREAMS.match(/@([\d.]+)$/)!;
  const files = new Map([
    ["/@std/streams/meta.json", JSON.stringify({ versions: { [version!]: {} } })],
    [`/@std/streams/${version}_meta.json`, meta],
    [`/@std/streams/${version}/text_line_stream.ts`, text],
  ]);
  if (jsr !== "forged") {
    const pinned: Lock = readJson("deno.lock");
    pinned.jsr[STREAMS]!.integrity = hash(meta);
    Deno.writeTextFileSync(lock, JSON.stringify(pinned));
  }
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async ({ url, signal }) => {
      const { pathname } = new URL(url);
      asked.push(pathname);
      if (jsr === "silent") {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      }
      const text = files.get(pathname);
      return text === undefined ? new Response(null, { status: 404 }) : new Response(text);
    },
  );
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

// deno-lint-ignore no-explicit-any
function readJson(file: string): any {
  return JSON.parse(Deno.readTextFileSync(new URL(file, ROOT)));
}

/** The texts of all modules in a folder. */
function* sourceTexts(folder: URL): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory && !name.startsWith(".")) yield* sourceTexts(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield Deno.readTextFileSync(new URL(name, folder));
  }
}
