/**
 * The units of systemd: systemd finds nothing wrong with them, and what the backup runs does what it says.
 * They are not started here.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  ROOT,
  runServer,
  ServerProcess,
  startFlags,
  tempFolder,
  testServer,
  testWith,
  testWithProgram,
} from "../support/harness.ts";
import { read } from "./image.ts";

const UNITS = ["keyline.service", "keyline-backup.service", "keyline-backup.timer"];

testWith(["read"], "the page installs each unit", () => {
  const page = Deno.readTextFileSync(new URL("docs/service.md", ROOT));
  for (const name of UNITS) {
    const pattern = name.replace(/^keyline-backup\..*/, "keyline-backup.*");
    assertStringIncludes(page, `deploy/${pattern}`);
  }
});

testWithProgram("systemd-analyze", "systemd finds nothing wrong with the units", async () => {
  const folder = tempFolder();
  try {
    for (const name of UNITS) {
      // What the units start need not be installed where they are checked.
      const text = read(name).replaceAll("/usr/local/bin/keyline", "/bin/true");
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    const { code, stdout, stderr } = await new Deno.Command("systemd-analyze", {
      args: ["verify", "--man=no", ...UNITS.map((name) => `${folder}/${name}`)],
    }).output();
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    // It also tells of other units of the machine.
    const ours = said.split("\n").filter((line) => line.includes("keyline"));
    assertEquals([code, ours], [0, []], said);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

testServer("the nightly backup can be restored, and only then the old ones go", async () => {
  const folder = tempFolder();
  await using server = await ServerProcess.start();
  const unit = read("keyline-backup.service");
  assertStringIncludes(unit, "Type=oneshot\n", "what follows a start that fails is not run");
  const shim = `${folder}/keyline`;
  const run = (name: string, data: string) => {
    const commands = [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, line]) =>
      line!.replaceAll("%%", "%").replaceAll("$$", "$").replace("/usr/local/bin/keyline", shim)
        .replaceAll("/var/backups/keyline", folder)
    );
    assert(commands.length > 0, name);
    return new Deno.Command("sh", {
      args: ["-c", commands.join(" && ")],
      env: { KEYLINE_DATA: data },
      stderr: "piped",
    }).output();
  };
  const args = [Deno.execPath(), "run", ...startFlags(), `${ROOT.pathname}main.ts`];
  Deno.writeTextFileSync(shim, `#!/bin/sh\nexec ${args.join(" ")} "$@"\n`, { mode: 0o700 });
  const aged = (name: string, days: number) => {
    Deno.writeTextFileSync(`${folder}/${name}`, "x");
    Deno.utimeSync(`${folder}/${name}`, Date.now() / 1_000, Date.now() / 1_000 - days * 86_400);
  };
  aged("old.keyline", 15.5);
  aged("young.keyline", 13);
  aged("killed.keyline.new", 1.5);
  aged("begun.keyline.new", 0);
  const before = namesIn(folder);
  assertEquals((await run("ExecStart", `${folder}/none`)).code, 1);
  assertEquals(namesIn(folder), before, "a backup that fails leaves nothing");
  using client = await server.connect();
  assertEquals(await client.ask("PUT key value"), "200 OK");
  assertEquals((await run("ExecStart", server.data)).code, 0);
  const [name] = namesIn(folder).filter((name) => !before.includes(name));
  assertMatch(name!, /^\d{8}T\d{6}Z\.keyline$/);
  assertEquals((await run("ExecStartPost", server.data)).code, 0);
  const left = [name!, "begun.keyline.new", "keyline", "young.keyline"];
  assertEquals(namesIn(folder), left.toSorted());
  const restore = ["restore", `${folder}/${name}`, "--data", `${folder}/new`];
  assertEquals((await runServer(restore)).code, 0);
  Deno.removeSync(folder, { recursive: true });
});

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}
