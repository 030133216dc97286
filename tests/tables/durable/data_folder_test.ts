/**
 * The data folder as others find it, and as somebody prepares it who wants more than he may do: the modes of its
 * files, links among them, and folders that others may write to.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { openDataFile } from "../../../tables/durable/data_folder.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { testWithFolder } from "../../support/data_folder.ts";
import { ServerProcess } from "../../support/harness.ts";

const VICTIM = "what a link must not reach";

folderTest(
  "a new folder and its files are their user's alone, whatever the umask",
  async (folder) => {
    const data = `${folder}/data`;
    const under = ["sh", "-c", 'umask 0; exec "$@"', "sh"];
    await using server = await ServerProcess.start({ data, under });
    assertEquals(modeOf(data), 0o700);
    const names = namesIn(data);
    assertEquals(names, ["keyline.lock", "keyline.log", "keyline.state"]);
    for (const name of names) assertEquals([name, modeOf(`${data}/${name}`)], [name, 0o600]);
    await server.stop();
  },
);

folderTest("files that others could read are theirs no longer", (folder) => {
  openTable(folder);
  for (const name of namesIn(folder)) Deno.chmodSync(`${folder}/${name}`, 0o666);
  openTable(folder);
  for (const name of namesIn(folder)) {
    assertEquals([name, modeOf(`${folder}/${name}`)], [name, 0o600]);
  }
});

folderTest("a link in place of a file is refused, and what it leads to is untouched", (folder) => {
  const data = `${folder}/data`;
  openTable(data);
  const victim = `${folder}/victim`;
  for (const name of [...namesIn(data), "keyline.db-journal", "keyline.new"]) {
    for (const target of [victim, `${folder}/missing`]) {
      Deno.writeTextFileSync(victim, VICTIM);
      const path = `${data}/${name}`;
      const kept = namesIn(data).includes(name) ? Deno.readFileSync(path) : undefined;
      if (kept !== undefined) Deno.removeSync(path);
      Deno.symlinkSync(target, path);
      assertThrows(() => openTable(data), OpenError, `Cannot open ${path}: it is a link`);
      assertEquals([Deno.readTextFileSync(victim), namesIn(folder)], [VICTIM, ["data", "victim"]]);
      Deno.removeSync(path);
      if (kept !== undefined) Deno.writeFileSync(path, kept, { mode: 0o600 });
    }
  }
  openTable(data);
});

folderTest(
  "a file is opened, or created where there is nothing, and a link is neither",
  (folder) => {
    const path = `${folder}/file`;
    assertThrows(() => openDataFile(path, { create: false }), Deno.errors.NotFound);
    openDataFile(path).close();
    assertEquals(modeOf(path), 0o600);
    openDataFile(path, { create: false }).close();
    for (const target of [path, `${folder}/missing`]) {
      const link = `${folder}/link`;
      Deno.symlinkSync(target, link);
      assertThrows(() => openDataFile(link), OpenError, "it is a link");
      Deno.removeSync(link);
    }
    assertThrows(() => openDataFile(folder), OpenError, "or another special file");
    assertEquals(namesIn(folder), ["file"]);
  },
);

folderTest("a folder that others may write to is refused, with what to do", (folder) => {
  for (const mode of [0o770, 0o702, 0o777, 0o1777]) {
    Deno.chmodSync(folder, mode);
    assertThrows(() => openTable(folder), OpenError, `Forbid it with \`chmod go-w ${folder}\`.`);
    assertEquals(namesIn(folder), []);
  }
  Deno.chmodSync(folder, 0o755);
  openTable(folder);
});

/** Defines a test in a folder of its own; not for Windows, which has no such modes. */
function folderTest(name: string, fn: (folder: string) => void | Promise<void>): void {
  if (Deno.build.os === "windows") return;
  testWithFolder(name, fn);
}

function openTable(folder: string): void {
  new DurableTable(folder, { cacheBytes: 0, slotBytes: 4_096 }).close();
}

function modeOf(path: string): number {
  return Deno.lstatSync(path).mode! & 0o777;
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}
