/**
 * The comparison beyond small values and few keys: larger values, larger tables, more clients. Each cell has
 * its own servers, which store every key beforehand. Called by main.ts.
 *
 * @module
 */
import { type Bench, compare, CURVE_WRITES, startFilled, today } from "./cells.ts";
import { isServer } from "./peers.ts";
import { openFilesMax } from "./processes.ts";
import type { Curve, Size, WideCell, WidePart } from "./results.ts";

/** The load of one cell, but for its share of writes. */
type Shape = Size & { readonly clients: number; readonly inFlight: number };

const KIB = 1024;
const BATCHES = { clients: 50, inFlight: 16 };
const CROWD = { inFlight: 1, keys: 20_000, valueBytes: 64 };
/** With larger values, fewer requests are in flight, so that no round trip has more than some MiB. */
const EARNEST: readonly Shape[] = [
  { ...BATCHES, keys: 1_000, valueBytes: 64 },
  { ...BATCHES, keys: 20_000, valueBytes: 64 },
  { ...BATCHES, keys: 200_000, valueBytes: 64 },
  { ...BATCHES, keys: 1_000_000, valueBytes: 64 },
  { ...BATCHES, keys: 20_000, valueBytes: KIB },
  { ...BATCHES, keys: 1_000_000, valueBytes: KIB },
  { ...BATCHES, inFlight: 4, keys: 2_000, valueBytes: 16 * KIB },
  { ...BATCHES, inFlight: 1, keys: 500, valueBytes: 100 * KIB },
  { ...CROWD, clients: 1_000 },
  { ...CROWD, clients: 5_000 },
];
const QUICK: readonly Shape[] = [
  { ...BATCHES, keys: 1_000, valueBytes: 64 },
  { ...BATCHES, keys: 5_000, valueBytes: 64 },
  { ...BATCHES, inFlight: 1, keys: 20, valueBytes: 100 * KIB },
  { ...CROWD, clients: 100, keys: 1_000 },
];
const WRITES = [CURVE_WRITES, 100] as const;
/** The number of clients of the curves over sizes; the size of values in the one over keys. */
const [CURVE_CLIENTS, SMALL_BYTES] = [50, 64];
const FILES_SPARE = 500;

/** Measures all cells. */
export async function measureWide(bench: Bench): Promise<WidePart> {
  const { rounds, seconds } = bench;
  const files = await openFilesMax();
  const shapes = (bench.quick ? QUICK : EARNEST)
    .filter(({ clients }) => clients + FILES_SPARE <= files);
  const cells: WideCell[] = [];
  for (const mode of ["durable", "memory"] as const) {
    const contenders = bench.contenders.filter((each) => each.mode === mode && isServer(each));
    for (const shape of shapes) {
      const { keys, valueBytes } = shape;
      bench.progress(`${mode}, ${keys} keys of ${valueBytes} bytes`);
      await using started = await startFilled(bench, { contenders, keys, valueBytes });
      for (const writes of WRITES) {
        const load = { ...shape, writes, seconds };
        const compared = await compare(bench, { servers: started.servers, load });
        cells.push({ mode, ...shape, writes, ...compared });
      }
    }
  }
  return { date: today(), rounds, seconds, cells };
}

/** The curves over the number of keys and over the size of values, of what the cells have. */
export function sizeCurves(
  { cells }: WidePart,
): { byKeys: readonly Curve[]; byValueBytes: readonly Curve[] } {
  const own = cells.filter(({ clients, writes }) =>
    clients === CURVE_CLIENTS && writes === CURVE_WRITES
  );
  const small = own.filter(({ valueBytes }) => valueBytes === SMALL_BYTES);
  // Over values, tables of the usual number of keys; of the largest values there are fewer.
  const bySize = Map.groupBy(own, ({ mode, valueBytes }) => `${mode} ${valueBytes}`);
  const some = [...bySize.values()].map((same) =>
    same.find(({ keys }) => keys === CROWD.keys) ?? same[0]!
  );
  return {
    byKeys: curvesOf(small, ({ keys }) => keys),
    byValueBytes: curvesOf(some, ({ valueBytes }) => valueBytes),
  };
}

function curvesOf(cells: readonly WideCell[], at: (cell: WideCell) => number): Curve[] {
  const curves = new Map<string, Curve & { points: Curve["points"][number][] }>();
  for (const cell of cells.toSorted((a, b) => at(a) - at(b))) {
    for (const [name, figures] of Object.entries(cell.servers)) {
      const [protocol, { mode }] = [name as Curve["protocol"], cell];
      const curve = curves.get(`${mode} ${protocol}`) ?? { protocol, mode, points: [] };
      const { requestsPerS, generatorCpu } = figures;
      curve.points.push({ at: at(cell), requestsPerS, generatorCpu });
      curves.set(`${mode} ${protocol}`, curve);
    }
  }
  return [...curves.values()];
}
