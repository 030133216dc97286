/**
 * How much memory the process, and its values, may take where nobody has said: three quarters of what there is, and
 * a quarter.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { cacheBytesByDefault, memoryBytesMaxByDefault } from "../../server/memory.ts";
import { hasProgram, isGranted, ServerProcess, testServer, testWith } from "../support/harness.ts";
import { MIB } from "../support/process_memory.ts";

Deno.test("the default cache is a quarter of the machine's memory, in whole MiB", () => {
  const ofMachine = (total: number) => cacheBytesByDefault({ total: () => total, limit: () => 0 });
  assertEquals(ofMachine(8_192 * MIB), 2_048 * MIB);
  assertEquals(ofMachine(8_195 * MIB + 17), 2_048 * MIB);
});

Deno.test("the limit of a control group counts where it is below the machine's memory", () => {
  const within = (limit: number) =>
    cacheBytesByDefault({ total: () => 8_192 * MIB, limit: () => limit });
  assertEquals(within(512 * MIB), 128 * MIB);
  // What the kernel says where there is no limit.
  assertEquals(within(2 ** 63), 2_048 * MIB);
});

Deno.test("the default bound is three quarters of the memory that there is", () => {
  const within = (limit: number) =>
    memoryBytesMaxByDefault({ total: () => 8_192 * MIB, limit: () => limit });
  assertEquals(within(0), 6_144 * MIB);
  assertEquals(within(1_001 * MIB), 750 * MIB);
});

testWith(["sys"], "the system tells how much memory there is", () => {
  assert(cacheBytesByDefault() >= MIB);
});

testServer("the start says how much memory values may take, unless all are in memory", async () => {
  const cacheOf = async (args: string[]) => {
    await using server = await ServerProcess.start({ args });
    const [started] = server.log.filter((line) => line.includes("Keyline has started"));
    return / cache="(\d+) MiB"/.exec(started!)?.[1];
  };
  assertEquals(await cacheOf(["--cache", "17"]), "17");
  assertEquals(await cacheOf(["--memory"]), undefined);
  assert(Number(await cacheOf([])) > 0);
});

groupTest("a server in a container takes its shares of what that may have", async () => {
  await using server = await ServerProcess.start({ under: inGroup(600 * MIB) });
  assert(server.output.includes(' max_memory="450 MiB"'), server.output);
  assert(server.output.includes(' cache="150 MiB"'), server.output);
});

/**
 * Runs a program with the files that a control group of cgroup v2 with this limit has: a container's, whose
 * root the group is.
 */
function inGroup(bytes: number): string[] {
  const [group, own] = ["/sys/fs/cgroup", "/sys/fs/cgroup/own"];
  const make = [
    `mount -t tmpfs none ${group}`,
    `echo ${bytes} > ${group}/memory.max`,
    `echo 0::/ > ${own}`,
    `mount --bind ${own} /proc/$$/cgroup`,
  ];
  return ["unshare", "--mount", "sh", "-c", [...make, 'exec "$@"'].join(" && "), "sh"];
}

/** A test that mounts such files; where that is not allowed it is ignored, and its name says so. */
function groupTest(name: string, fn: () => Promise<void>): void {
  if (!isGranted(["run"]) || canMount()) testServer(name, fn);
  else Deno.test({ name: `${name} (ignored: nothing can be mounted)`, ignore: true, fn });
}

function canMount(): boolean {
  if (!hasProgram("unshare")) return false;
  const [program, ...args] = [...inGroup(MIB), "true"];
  return new Deno.Command(program!, { args, stderr: "null" }).outputSync().success;
}
