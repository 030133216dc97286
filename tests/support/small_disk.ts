/**
 * Small disks that tests can fill. Each is a tmpfs: mounting one takes root.
 *
 * @module
 */

import { assert } from "@std/assert";
import { tempFolder, testServer, testWithProgram } from "./harness.ts";

/**
 * A test that mounts disks, and may need a program; where none can be mounted, or the program is missing, it is
 * ignored, and its name says so.
 */
export function diskTest(
  name: string,
  fn: () => Promise<void>,
  { program }: { program?: string } = {},
): void {
  if (!canMount()) {
    Deno.test({ name: `${name} (ignored: no tmpfs can be mounted)`, ignore: true, fn });
  } else if (program === undefined) testServer(name, fn);
  else testWithProgram(program, name, fn);
}

function canMount(): boolean {
  if (Deno.permissions.querySync({ name: "run" }).state !== "granted") return false;
  const folder = tempFolder();
  const isMounted = run("mount", "-t", "tmpfs", "-o", "size=1m", "none", folder);
  if (isMounted) run("umount", folder);
  Deno.removeSync(folder);
  return isMounted;
}

/** Runs `fn` with a disk of its own, in a folder. */
export async function withDisk(mib: number, fn: (folder: string) => Promise<void>): Promise<void> {
  const folder = tempFolder();
  assert(run("mount", "-t", "tmpfs", "-o", `size=${mib}m`, "none", folder));
  try {
    await fn(folder);
  } finally {
    run("umount", "--lazy", folder);
    Deno.removeSync(folder);
  }
}

function run(program: string, ...args: string[]): boolean {
  return new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync().success;
}
