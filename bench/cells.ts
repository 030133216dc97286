/**
 * The main comparison and the curves: the same load on one server after another, round by round, so that a
 * change in the machine's speed affects all of them. Called by main.ts.
 *
 * @module
 */
import type { Drive, Figures, Load } from "./generator.ts";
import {
  type Contender,
  isServer,
  type Protocol,
  type Server,
  startServer,
  VALUE_BYTES,
} from "./peers.ts";
import {
  type Cell,
  type CellFigures,
  type Curve,
  type CurvesPart,
  type MainPart,
  median,
  type Point,
  type Size,
} from "./results.ts";

/** What all measurements share. */
export interface Bench {
  readonly drive: Drive;
  readonly contenders: readonly Contender[];
  /** Where the servers get their folders. */
  readonly folder: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Whether to run for a few seconds, to show that everything works; the figures mean nothing. */
  readonly quick: boolean;
  /** Reports progress. */
  readonly progress: (line: string) => void;
}

const DIGITS: Partial<Record<keyof Figures, number>> = {
  p50Us: 1,
  p99Us: 1,
  p999Us: 1,
  generatorCpu: 2,
};
/** Clients, and requests in flight for each of them. */
export const SHAPES = [[1, 1], [50, 1], [50, 16], [50, 64]] as const;
const CURVE_CLIENTS = 50;
/** The percentage of writes of the curves. */
export const CURVE_WRITES = 10;
/** About how many bytes of values a client stores at once, where it stores all of them. */
const FILL_BYTES = 65_536;

/** Measures every cell of the main table. */
export async function measureCells(bench: Bench): Promise<MainPart> {
  const { rounds, seconds } = bench;
  const keys = keyCount(bench);
  const shapes = bench.quick ? [SHAPES[0], SHAPES[2]] : SHAPES;
  const cells: Cell[] = [];
  for (const mode of ["durable", "memory"] as const) {
    const contenders = bench.contenders.filter((contender) => contender.mode === mode);
    await using started = await startFilled(bench, { contenders, keys, valueBytes: VALUE_BYTES });
    for (const [clients, inFlight] of shapes) {
      for (const writes of [10, 100]) {
        const load = { clients, inFlight, writes, seconds, keys, valueBytes: VALUE_BYTES };
        const compared = await compare(bench, { servers: started.servers, load });
        cells.push({ mode, clients, inFlight, writes, ...compared });
      }
    }
  }
  return { date: today(), rounds, seconds, keys, valueBytes: VALUE_BYTES, cells };
}

/** Measures throughput over requests in flight and over clients. */
export async function measureCurves(bench: Bench): Promise<CurvesPart> {
  const { rounds, seconds } = bench;
  const depths = bench.quick ? [1, 16, 256] : [1, 2, 4, 8, 16, 32, 64, 128, 256];
  const crowds = bench.quick ? [1, 50] : [1, 10, 50, 100, 500, 1000];
  await using started = await startFilled(bench, {
    contenders: bench.contenders.filter(isServer),
    keys: keyCount(bench),
    valueBytes: VALUE_BYTES,
  });
  const { servers } = started;
  const clients = CURVE_CLIENTS;
  const inFlightShapes = depths.map((inFlight) => ({ clients, inFlight, at: inFlight }));
  const byInFlight = await measureShapes(bench, { servers, shapes: inFlightShapes });
  const clientShapes = crowds.map((clients) => ({ clients, inFlight: 1, at: clients }));
  const byClients = await measureShapes(bench, { servers, shapes: clientShapes });
  const shared = { writes: CURVE_WRITES, valueBytes: VALUE_BYTES, clients };
  return { date: today(), rounds, seconds, ...shared, byInFlight, byClients };
}

/** Today, as YYYY-MM-DD in UTC. */
export function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** Puts the same load on all servers in turns: their figures, and how Keyline compares. */
export async function compare(
  bench: Bench,
  options: { servers: readonly Server[]; load: Load },
): Promise<Pick<Cell, "servers" | "ratios">> {
  return medians(await interleave(bench, options));
}

/** The rounds of one server. */
interface Measured {
  readonly server: Server;
  readonly rounds: readonly Figures[];
}

async function interleave(
  bench: Bench,
  { servers, load }: { servers: readonly Server[]; load: Load },
): Promise<Measured[]> {
  const measured = servers.map((server) => ({ server, rounds: [] as Figures[] }));
  for (let round = 0; round < bench.rounds; round++) {
    for (const { server, rounds } of measured) rounds.push(await bench.drive(server, load));
  }
  const rates = measured.map(({ server, rounds }) =>
    `${server.protocol} ${server.mode} ${middle(rounds, "requestsPerS")}`
  );
  const { clients, inFlight, writes } = load;
  bench.progress(`${clients} x ${inFlight}, ${writes} % writes, requests/s: ${rates.join(", ")}`);
  return measured;
}

function medians(measured: readonly Measured[]): Pick<Cell, "servers" | "ratios"> {
  const keyline = measured.find(({ server }) => server.protocol === "keyline")?.rounds ?? [];
  const servers: Partial<Record<Protocol, CellFigures>> = {};
  const ratios: Partial<Record<Protocol, number>> = {};
  for (const { server: { protocol }, rounds } of measured) {
    servers[protocol] = {
      requestsPerS: middle(rounds, "requestsPerS"),
      p50Us: middle(rounds, "p50Us"),
      p99Us: middle(rounds, "p99Us"),
      p999Us: middle(rounds, "p999Us"),
      generatorCpu: middle(rounds, "generatorCpu"),
    };
    if (protocol === "keyline") continue;
    const paired = rounds.map((peer, i) => (keyline[i]?.requestsPerS ?? NaN) / peer.requestsPerS);
    ratios[protocol] = rounded(median(paired), 3);
  }
  return { servers, ratios };
}

async function measureShapes(
  bench: Bench,
  { servers, shapes }: {
    servers: readonly Server[];
    shapes: readonly { clients: number; inFlight: number; at: number }[];
  },
): Promise<Curve[]> {
  const curves = servers.map(({ protocol, mode }) => ({ protocol, mode, points: [] as Point[] }));
  const shared = { keys: keyCount(bench), valueBytes: VALUE_BYTES, writes: CURVE_WRITES };
  for (const { at, ...shape } of shapes) {
    const load = { ...shape, ...shared, seconds: bench.seconds };
    const measured = await interleave(bench, { servers, load });
    measured.forEach(({ rounds }, index) => {
      const requestsPerS = middle(rounds, "requestsPerS");
      const generatorCpu = middle(rounds, "generatorCpu");
      curves[index]?.points.push({ at, requestsPerS, generatorCpu });
    });
  }
  return curves;
}

/** Starts contenders and stores every key in each of them, so that every read finds one. */
export async function startFilled(
  bench: Bench,
  { contenders, keys, valueBytes }: Size & { contenders: readonly Contender[] },
) {
  const servers: Server[] = [];
  const stop = async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  };
  try {
    for (const contender of contenders) {
      const server = await startServer(contender, await Deno.makeTempDir({ dir: bench.folder }));
      servers.push(server);
      await bench.drive(server, fill({ keys, valueBytes }));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { servers, [Symbol.asyncDispose]: stop };
}

/** The load that stores every key. */
export function fill({ keys, valueBytes }: Size): Load {
  const inFlight = Math.max(1, Math.min(100, Math.floor(FILL_BYTES / valueBytes)));
  return { mode: "fill", clients: 10, inFlight, seconds: 240, writes: 100, keys, valueBytes };
}

function keyCount({ quick }: Bench): number {
  return quick ? 1_000 : 20_000;
}

function middle(rounds: readonly Figures[], name: keyof Figures): number {
  return rounded(median(rounds.map((figures) => figures[name])), DIGITS[name] ?? 0);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
