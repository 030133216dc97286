/**
 * Where Keyline's time goes: each load of the main table on a server under V8's profiler. Called by
 * main.ts.
 *
 * @module
 */
import { type Bench, fill, SHAPES, today } from "./cells.ts";
import { type Server, startServer } from "./peers.ts";
import { readProc } from "./processes.ts";
import { type Area, AREAS, type ProfiledCell, type ProfilePart } from "./results.ts";

/** V8's format: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

/** Which code belongs to which area, by its address; the first that fits. */
const CODE: readonly (readonly [RegExp, Area])[] = [
  [/06_streams|text[-_]line[-_]stream|\/server\/splitter\./, "streams"],
  [/text_encoding|\/server\/(lines|telnet)\./, "bytes and text"],
  [/ext:deno_net|\/server\/listener\./, "sockets"],
  [/\/tables\//, "table"],
  [/\/(server|commands)\//, "requests"],
  [/^(ext|node):/, "event loop"],
];
/** What calls Deno's native functions for whoever wants them. */
const CALLS = /ext:core\/00_infra/;
const TICKS_PER_S = 100;

/** Profiles every cell of the main table. */
export async function profileCells(bench: Bench): Promise<ProfilePart> {
  const cells: ProfiledCell[] = [];
  for (const mode of ["durable", "memory"] as const) {
    for (const [clients, inFlight] of bench.quick ? SHAPES.slice(2, 3) : SHAPES) {
      for (const writes of bench.quick ? [10] : [10, 100]) {
        const cell = { mode, clients, inFlight, writes };
        cells.push(await profileCell(bench, cell));
        bench.progress(`${mode}, ${clients} x ${inFlight}, ${writes} % writes: profiled`);
      }
    }
  }
  return { date: today(), seconds: bench.seconds, cells };
}

async function profileCell(
  bench: Bench,
  cell: Pick<ProfiledCell, "mode" | "clients" | "inFlight" | "writes">,
): Promise<ProfiledCell> {
  const folder = await Deno.makeTempDir({ dir: bench.folder });
  const profiles = `${folder}/profiles`;
  const contender = { protocol: "keyline", mode: cell.mode } as const;
  const server = await startServer(contender, folder, { profiles });
  let cpu: { userUs: number; systemUs: number };
  try {
    const filled = fill(bench);
    await bench.drive(server, filled);
    const before = await cpuTimes(server);
    const load = { ...filled, ...cell, mode: "run", seconds: bench.seconds } as const;
    const { requestsPerS, seconds } = await bench.drive(server, load);
    const after = await cpuTimes(server);
    const each = (ticks: number) => ticks / TICKS_PER_S * 1e6 / (requestsPerS * seconds);
    cpu = { userUs: each(after.user - before.user), systemUs: each(after.system - before.system) };
  } finally {
    await server[Symbol.asyncDispose](); // which writes the profile
  }
  return { ...cell, ...cpu, shares: await sharesIn(profiles) };
}

/** The processor time that a process has used, all its threads, in ticks. */
async function cpuTimes({ pid }: Server): Promise<{ user: number; system: number }> {
  const stat = await readProc(`${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")")).split(" "); // proc(5): utime is field 14
  return { user: Number(fields[12]), system: Number(fields[13]) };
}

async function sharesIn(folder: string): Promise<Record<Area, number>> {
  const [file] = [...Deno.readDirSync(folder)];
  if (file === undefined) throw new Error("Cannot profile: the server has written no profile");
  return sharesOf(JSON.parse(await Deno.readTextFile(`${folder}/${file.name}`)));
}

/** The share of each area in the time in which a thread was not idle. */
export function sharesOf({ nodes, samples, timeDeltas }: Profile): Record<Area, number> {
  const areas = areasOf(nodes);
  const shares = Object.fromEntries(AREAS.map((area) => [area, 0])) as Record<Area, number>;
  let busy = 0;
  samples.forEach((id, i) => {
    const area = areas.get(id);
    if (area === undefined) return;
    shares[area] += timeDeltas[i]!;
    busy += timeDeltas[i]!;
  });
  for (const area of AREAS) shares[area] = Number((shares[area] / busy).toFixed(3));
  return shares;
}

/** The area of each node; none for idle ones. Native functions belong to what wants them. */
function areasOf(nodes: Profile["nodes"]): Map<number, Area | undefined> {
  const areas = new Map<number, Area | undefined>();
  // Each node comes before its children.
  for (const { id, callFrame: { functionName, url }, children = [] } of nodes) {
    if (functionName === "(idle)") areas.set(id, undefined);
    else if (functionName === "(garbage collector)") areas.set(id, "garbage");
    else if (functionName === "(program)" || functionName === "(root)") areas.set(id, "native");
    else if (url !== "" && !CALLS.test(url)) {
      areas.set(
        id,
        CODE.find(([code]) => code.test(url))?.[1] ?? "event loop",
      );
    }
    for (const child of children) areas.set(child, areas.get(id));
  }
  return areas;
}
