/**
 * A copy of what a server is started from, for tests that change it.
 *
 * @module
 */

import { ROOT, tempFolder } from "./harness.ts";

const PARTS = [
  "main.ts",
  "deno.json",
  "deno.lock",
  ...["server", "commands", "tables", "client", "tools", "admin", "offline"],
];

/** The copy. Use it with `using`, which removes it. */
export class ProjectCopy implements Disposable {
  /** The root of the copy; a folder, with its last slash. */
  readonly root: URL;

  /** Copies the project, and adds files to `commands/`: their texts by their names. */
  constructor(commands: Readonly<Record<string, string>> = {}) {
    this.root = new URL(`file://${tempFolder()}/`);
    for (const { name } of Deno.readDirSync(ROOT)) {
      if (PARTS.includes(name)) copy(new URL(name, ROOT), new URL(name, this.root));
    }
    for (const [name, text] of Object.entries(commands)) {
      Deno.writeTextFileSync(new URL(`commands/${name}`, this.root), text);
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function copy(from: URL, to: URL): void {
  if (Deno.statSync(from).isFile) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    copy(new URL(`${from.href}/${name}`), new URL(`${to.href}/${name}`));
  }
}
