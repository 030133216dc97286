/**
 * Describes the machine: a figure says little without it. Called by main.ts.
 *
 * @module
 */
import { output, readProc } from "./processes.ts";
import { type Machine, median } from "./results.ts";

const SYNCS = 100;
const SYNC_BYTES = 4096;
const KIB_PER_GIB = 1024 * 1024;

/** What this machine is, and how long the disk under `folder` takes to sync a small write. */
export async function describeMachine(folder: string): Promise<Machine> {
  const processors = await readProc("cpuinfo");
  const memoryKib = /^MemTotal:\s+(\d+)/m.exec(await readProc("meminfo"))?.[1];
  const disk = (await output("df", ["-PT", folder])).trim().split("\n").at(-1);
  return {
    cpu: /^model name\s*:\s*(.*)$/m.exec(processors)?.[1] ?? Deno.build.arch,
    cores: navigator.hardwareConcurrency,
    memoryGiB: Math.round(Number(memoryKib) / KIB_PER_GIB),
    kernel: (await output("uname", ["-sr"])).trim(),
    fileSystem: disk?.split(/\s+/)[1] ?? "unknown",
    syncUs: Math.round(await syncUs(`${folder}/sync`)),
  };
}

async function syncUs(path: string): Promise<number> {
  using file = await Deno.open(path, { write: true, create: true });
  const bytes = new Uint8Array(SYNC_BYTES);
  const times: number[] = [];
  for (let i = 0; i < SYNCS; i++) {
    const start = performance.now();
    await file.write(bytes);
    await file.syncData();
    times.push((performance.now() - start) * 1000);
  }
  return median(times);
}
