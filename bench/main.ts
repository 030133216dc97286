/**
 * The benchmark: Keyline beside Redis and memcached under the same load. Run it with
 * `deno task bench`; `--help` shows the options.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Bench, measureCells, measureCurves } from "./cells.ts";
import { measureFloods } from "./flood.ts";
import { measureEviction } from "./evict.ts";
import { buildGenerator } from "./generator.ts";
import { describeMachine } from "./machine.ts";
import { measureMore } from "./more.ts";
import { CONTENDERS, installedPeers, NAMES } from "./peers.ts";
import { drawCurves, drawSizes } from "./plot.ts";
import { output, stopAll } from "./processes.ts";
import { mainTable, moreTable, page, wideTable } from "./report.ts";
import type { Results } from "./results.ts";
import { measureWide } from "./wide.ts";

const HELP = `Keyline beside Redis and memcached, where they are installed, under the same load

Usage: deno task bench [options]

What to measure; the table by default
  --table           requests per second and round trips, cell by cell
  --plot            throughput over requests in flight and clients, as bench/throughput.svg
  --more            larger values, tables and crowds; start, memory, longest stalls
  --huge            the same, and a start with 10,000,000 keys
  --etcd            Keyline over three nodes of etcd, beside one request of etcd for each
  --postgres        Keyline over PostgreSQL, one server and three, beside one statement for each
  --evict           how often full caches have what they are asked for
  --flood           round trips of polite clients while another floods the server

How
  --rounds NUMBER   how often to measure each cell; the median counts [5]
  --seconds NUMBER  how long each time [2]
  --folder FOLDER   where the servers keep their files [the system's temporary folder]
  --quick           a small run of everything, in under a minute, to see whether it works
  --save            write the figures to bench/results.json, bench/RESULTS.md and the plots
  --render          measure nothing; render RESULTS.md and the plots from results.json
  --help            show this and exit
`;
const FILES = {
  results: `${import.meta.dirname}/results.json`,
  page: `${import.meta.dirname}/RESULTS.md`,
  plot: `${import.meta.dirname}/throughput.svg`,
  sizes: `${import.meta.dirname}/sizes.svg`,
  etcd: `${import.meta.dirname}/ETCD.md`,
  postgres: `${import.meta.dirname}/POSTGRES.md`,
};
const SECONDS_MAX = 600;
const ROUNDS_MAX = 1_000;
const END_SIGNALS = [["SIGINT", 130], ["SIGTERM", 143]] as const;

type Options = ReturnType<typeof readOptions>;

if (import.meta.main) {
  try {
    await main(readOptions(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}

async function main(options: Options): Promise<void> {
  if (options.help) return console.log(HELP);
  if (options.render) return await render(JSON.parse(await Deno.readTextFile(FILES.results)));
  const folder = await Deno.makeTempDir({ prefix: "keyline-bench-", ...options.folder });
  const tidy = once(async () => {
    await stopAll();
    await Deno.remove(folder, { recursive: true });
  });
  endOnSignals(tidy);
  try {
    if (options.etcd) return await overEtcd(options, folder);
    if (options.postgres) return await overPostgres(options, folder);
    if (options.evict) return await fullCaches(options);
    if (options.flood) return await besideFloods(options, folder);
    const results = await measure(options, folder);
    const tables = [mainTable, wideTable, moreTable].map((table) => table(results));
    console.log(tables.filter(Boolean).join("\n\n"));
    if (options.save) await save(results);
    else if (!options.quick) await draw(results);
  } finally {
    await tidy();
  }
}

async function overEtcd(options: Options, folder: string): Promise<void> {
  const { rounds, seconds, quick, save } = options;
  // The other measurements need no client of etcd.
  const { etcdPage, measureEtcd } = await import("./etcd.ts");
  const drive = await buildGenerator(folder);
  const progress = (line: string) => console.error(line);
  const results = await measureEtcd({ drive, folder, rounds, seconds, quick, progress });
  const page = etcdPage(results, await describeMachine(folder));
  console.log(page);
  if (save) await write(FILES.etcd, page);
}

async function overPostgres(options: Options, folder: string): Promise<void> {
  const { rounds, seconds, quick, save } = options;
  const { measurePostgres, postgresPage } = await import("./postgres.ts");
  const drive = await buildGenerator(folder);
  const progress = (line: string) => console.error(line);
  const results = await measurePostgres({ drive, folder, rounds, seconds, quick, progress });
  const page = postgresPage(results, await describeMachine(folder));
  console.log(page);
  if (save) await write(FILES.postgres, page);
}

async function besideFloods({ seconds }: Options, folder: string): Promise<void> {
  const progress = (line: string) => console.error(line);
  console.log(await measureFloods({ folder, seconds, progress }));
}

async function fullCaches({ quick }: Options): Promise<void> {
  console.log(await measureEviction({ quick, progress: (line) => console.error(line) }));
}

async function measure(options: Options, folder: string): Promise<Results> {
  const peers = await installedPeers();
  for (const protocol of ["redis", "memcached"] as const) {
    if (!peers[protocol]) console.error(`${NAMES[protocol]} is not installed, so it is left out.`);
  }
  const bench: Bench = {
    drive: await buildGenerator(folder),
    contenders: CONTENDERS.filter(({ protocol }) =>
      protocol === "keyline" || protocol === "bare" || peers[protocol]
    ),
    folder,
    rounds: options.rounds,
    seconds: options.seconds,
    quick: options.quick,
    progress: (line) => console.error(line),
  };
  const machine = await describeMachine(folder);
  if (machine.fileSystem === "tmpfs") {
    console.error(
      "The servers' files are on tmpfs, where syncing costs nothing. Choose a disk with --folder.",
    );
  }
  return {
    machine,
    versions: { deno: Deno.version.deno, ...peers },
    ...options.table && { main: await measureCells(bench) },
    ...options.plot && { curves: await measureCurves(bench) },
    ...options.more && { wide: await measureWide(bench) },
    ...options.more && { more: await measureMore(bench, { isHuge: options.huge }) },
  };
}

/** Keeps the parts of earlier runs that were measured on this machine with these versions. */
async function save(results: Results): Promise<void> {
  const text = await Deno.readTextFile(FILES.results).catch(() => "{}");
  const earlier: Partial<Results> = JSON.parse(text);
  const isSame = identity(earlier) === identity(results);
  const merged = isSame ? { ...earlier, ...results } : results;
  await write(FILES.results, JSON.stringify(merged, null, 2) + "\n");
  await render(merged);
}

async function render(results: Results): Promise<void> {
  await write(FILES.page, page(results));
  await draw(results);
}

async function draw({ curves, wide }: Results): Promise<void> {
  if (curves) await write(FILES.plot, drawCurves(curves));
  if (wide) await write(FILES.sizes, drawSizes(wide));
}

/** Writes a file as `deno fmt` wants it, so that it passes the checks of the repository. */
async function write(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text);
  await output(Deno.execPath(), ["fmt", "--quiet", path]);
  console.error(`Wrote ${path}`);
}

function identity({ machine, versions }: Partial<Results>): string {
  return JSON.stringify([machine?.cpu, machine?.cores, machine?.kernel, versions]);
}

/** Tidies up, then exits with the code of the signal. */
function endOnSignals(tidy: () => Promise<void>): void {
  for (const [name, code] of END_SIGNALS) {
    Deno.addSignalListener(name, async () => {
      await tidy();
      Deno.exit(code);
    });
  }
}

function once<Result>(task: () => Result): () => Result {
  let result: { value: Result } | undefined;
  return () => (result ??= { value: task() }).value;
}

function readOptions(args: readonly string[]) {
  const values = parseFlags(args);
  const { quick, save, plot, huge, folder } = values;
  const more = values.more || huge;
  if (quick && save) throw new Error("--quick measures nothing worth keeping: leave out --save.");
  const isChosen = values.table || plot || more;
  return {
    ...values,
    table: values.table || !isChosen,
    plot: plot || (quick && !isChosen),
    more: more || (quick && !isChosen),
    rounds: quick ? 1 : numberOf("rounds", values.rounds, ROUNDS_MAX),
    seconds: quick ? 0.3 : numberOf("seconds", values.seconds, SECONDS_MAX),
    folder: folder === undefined ? {} : { dir: folder },
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: args[0] === "--" ? args.slice(1) : [...args],
      options: {
        table: { type: "boolean", default: false },
        plot: { type: "boolean", default: false },
        more: { type: "boolean", default: false },
        huge: { type: "boolean", default: false },
        etcd: { type: "boolean", default: false },
        postgres: { type: "boolean", default: false },
        evict: { type: "boolean", default: false },
        flood: { type: "boolean", default: false },
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "2" },
        folder: { type: "string" },
        quick: { type: "boolean", default: false },
        save: { type: "boolean", default: false },
        render: { type: "boolean", default: false },
        help: { type: "boolean", default: false, short: "h" },
      },
    }).values;
  } catch (error) {
    const [what] = (error as Error).message.split(". "); // the rest is about Node.js programs
    throw new Error(`${what}. Run with --help to see the options.`);
  }
}

function numberOf(name: string, text: string, max: number): number {
  const value = Number(text);
  if (value > 0 && value <= max && (name !== "rounds" || Number.isInteger(value))) return value;
  throw new Error(`--${name} must be a number from 1 to ${max}: it is "${text}".`);
}
