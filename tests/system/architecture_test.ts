/**
 * What may import what, as `docs/architecture.md` has it: its table is held to the imports of the source.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { ROOT, testWith } from "../support/harness.ts";

/** The parts of the source that the table is about. */
const PARTS = ["admin", "client", "commands", "server", "tables", "tools"];
const IMPORT = /(?:\bfrom|\bimport|new URL\()\s*\(?"(\.\.?\/[^"]+)"/g;

testWith(["read"], "each part imports what its row in the architecture has, and no more", () => {
  const text = Deno.readTextFileSync(new URL("docs/architecture.md", ROOT));
  const rows = [...text.matchAll(/^\| `(\w+)\/` +\| (.*?) +\|$/gm)].map(([, part, cell]) =>
    [part!, [...cell!.matchAll(/`([\w./]+)`/g)].map(([, name]) => name!)] as const
  );
  assertEquals(rows.map(([part]) => part).toSorted(), PARTS);
  for (const [part, allowed] of rows) {
    const imported = importsOf(new URL(`${part}/`, ROOT), part);
    const isAllowed = (file: string) => allowed.some((name) => file.startsWith(name));
    assertEquals(imported.filter((file) => !isAllowed(file)), [], `${part}/ may not import these`);
    const isUsed = (name: string) => imported.some((file) => file.startsWith(name));
    assertEquals(allowed.filter((name) => !isUsed(name)), [], `${part}/ does not import these`);
  }
});

/** The files of other parts that a part imports, by their path from the root. */
function importsOf(folder: URL, part: string): string[] {
  const files = new Set<string>();
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const url = new URL(isDirectory ? `${name}/` : name, folder);
    if (isDirectory) { for (const file of importsOf(url, part)) files.add(file); }
    if (!name.endsWith(".ts")) continue;
    for (const [, target] of Deno.readTextFileSync(url).matchAll(IMPORT)) {
      const file = new URL(target!, url).pathname.slice(ROOT.pathname.length);
      assert(!file.startsWith("/"), `${url}: ${target}`);
      if (!file.startsWith(`${part}/`)) files.add(file);
    }
  }
  // Commands are found in their folder, and not imported.
  files.delete("commands/");
  return [...files];
}
