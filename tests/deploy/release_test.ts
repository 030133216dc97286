/**
 * `deno task release`: what can't be made is named, and the rest is made and has its checksum.
 *
 * The runtimes of executables are downloads that not every machine can reach, so a stand-in compiles here;
 * `tests/client/node_test.ts` installs the package of npm.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import client from "../../client/deno.json" with { type: "json" };
import config from "../../deno.json" with { type: "json" };
import { makeRelease, type Run, run, TARGETS } from "../../deploy/release.ts";
import { ROOT, tempFolder, testServer } from "../support/harness.ts";

const TARBALL = `keyline-client-${client.version}.tgz`;
const [OWN, OTHER] = [Deno.build.target, TARGETS.find((target) => target !== Deno.build.target)!];

/** What came of a release. */
interface Release {
  readonly missing: number;
  readonly said: readonly string[];
  /** The names in `dist/`, sorted. */
  readonly names: readonly string[];
  /** The targets that DENORT_BIN was given for. */
  readonly givenRuntime: readonly string[];
}

testServer(
  "a release has an executable for each system, the client, and their checksums",
  async () => {
    const { missing, said, names, givenRuntime } = await release({ isClientMade: true });
    assertEquals(missing, 0, said.join("\n"));
    const executables = TARGETS.map((target) => nameFor(target));
    assertEquals(names, ["SHA256SUMS", ...executables, TARBALL].toSorted());
    assert(executables.filter((name) => name.endsWith(".exe")).length === 2, "those of Windows");
    assertEquals(givenRuntime, [OWN], "the runtime of this system is for this system alone");
    assertMatch(said.at(-1)!, /^8 of 8 parts are made/);
    assertMatch(said.join("\n"), /^made {6}jsr:@keyline\/client@\d/m);
    assert(!said.join("\n").includes("NOTE"));
  },
);

testServer("what can't be made is named with the reason, and the rest is made", async () => {
  const { missing, said, names } = await release({ unreachable: [OTHER], isJsrAway: true });
  assertEquals(missing, 1);
  const [line] = said.filter((line) => line.startsWith("NOT MADE"));
  assertEquals(line, `NOT MADE  ${nameFor(OTHER)}: no runtime\n          could be downloaded`);
  assertEquals(names.includes(nameFor(OTHER)), false);
  assertEquals(names.length, TARGETS.length + 1);
  assertMatch(said.at(-1)!, /^7 of 8 parts are made/);
  assertMatch(said.at(-2)!, /^NOTE {6}JSR can't be reached/);
});

testServer("an executable that does not run is not part of a release", async () => {
  const { missing, said, names } = await release({ version: "deno 2.9.6 (stable)" });
  assertEquals(missing, 1);
  const [line] = said.filter((line) => line.startsWith("NOT MADE"));
  assertEquals(
    line,
    `NOT MADE  ${nameFor(OWN)}: it does not run: --version says "deno 2.9.6 (stable)".`,
  );
  assertEquals(names.includes(nameFor(OWN)), false);
});

testServer("why a program failed is what it said, without its progress", async () => {
  const options = { cwd: ROOT, env: Deno.env.toObject() };
  const why = (args: string[]) =>
    run(["deno", ...args], options).then(() => "", ({ message }: Error) => message);
  assertMatch(await why(["compile", "--target", "none", "main.ts"]), /^invalid value 'none' for /);
  assertEquals(await why(["eval", "console.error('all I say'); Deno.exit(3)"]), "all I say");
});

/** Makes a release with a compiler that writes the name of the target, and of a copy of the client if asked. */
async function release(
  {
    unreachable = [],
    version = `keyline ${config.version} (deno 2.9.6)`,
    isClientMade = false,
    isJsrAway = false,
  }: {
    unreachable?: readonly string[];
    version?: string;
    isClientMade?: boolean;
    isJsrAway?: boolean;
  },
): Promise<Release> {
  const folder = tempFolder();
  const root = new URL(`file://${folder}/`);
  const said: string[] = [];
  const givenRuntime: string[] = [];
  const standIn: Run = async (command, { cwd, env }) => {
    if (command.at(-1) === "--version") return `${version}\n`;
    if (!command.includes("--eval")) {
      if (isClientMade) return await run(command, { cwd, env });
      if (command.includes("pack")) await Deno.writeTextFile(command.at(-1)!, "the client");
      return "";
    }
    const [, target, file] = / --target (\S+) --output (\S+) main\.ts$/.exec(command.at(-1)!)!;
    assertEquals(
      command.at(-1)!.replace(/ --target.*$/, " --output keyline main.ts"),
      config.tasks.compile.command,
      "it is compiled as the task does",
    );
    if (env.DENORT_BIN !== undefined) givenRuntime.push(target!);
    if (unreachable.includes(target!)) throw new Error("no runtime\ncould be downloaded");
    await Deno.writeTextFile(new URL(file!, root), target!);
    return "";
  };
  try {
    // A copy, because Deno publishes nothing that is not committed.
    await run(["cp", "-r", "client", folder], { cwd: ROOT, env: Deno.env.toObject() });
    if (isJsrAway) Deno.writeTextFileSync(new URL(".jsr_away", root), "");
    Deno.mkdirSync(new URL("dist/", root));
    Deno.writeTextFileSync(new URL("dist/of-an-older-release", root), "");
    const env = { ...Deno.env.toObject(), DENORT_BIN: "/runtime" };
    const say = (line: string) => void said.push(line);
    const missing = await makeRelease({ root, run: standIn, say }, env);
    const dist = new URL("dist/", root);
    const check = new Deno.Command("sha256sum", {
      args: ["--check", "--strict", "SHA256SUMS"],
      cwd: dist,
    });
    const { success, stdout } = await check.output();
    assert(success);
    const names = [...Deno.readDirSync(dist)].map(({ name }) => name).toSorted();
    const checked = new TextDecoder().decode(stdout).matchAll(/^(\S+): OK$/gm);
    assertEquals(["SHA256SUMS", ...[...checked].map(([, name]) => name)].toSorted(), names);
    return { missing, said, names, givenRuntime };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function nameFor(target: string): string {
  return `keyline-${config.version}-${target}${target.includes("windows") ? ".exe" : ""}`;
}
