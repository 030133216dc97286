/**
 * Renders the figures as Markdown. Called by main.ts for RESULTS.md, by docs/generate.ts for the README,
 * and by the test that holds both to results.json.
 *
 * @module
 */
import { table } from "../docs/markdown.ts";
import { GENERATOR_CPU_MAX } from "./generator.ts";
import { CONTENDERS, type Mode, NAMES, type Protocol } from "./peers.ts";
import type { Cell, CellFigures, Results, WideCell } from "./results.ts";

const NOTHING = "–";
const LIMIT_MARK = "†";

/** All of RESULTS.md. */
export function page(results: Results): string {
  const parts = [
    "# Results",
    "What `deno task bench` measured. This page is rendered from results.json; nothing in it is " +
    "typed by hand. Trust the ratios more than the rates, which depend on the machine.",
    machineTable(results),
  ];
  const { main, curves, wide, more } = results;
  if (main) {
    parts.push(
      "## The same load, server by server",
      `${main.keys.toLocaleString("en")} keys, values of ${main.valueBytes} bytes, the median of ` +
        `${main.rounds} interleaved rounds of ${main.seconds} s (${main.date}). Each client ` +
        "sends its requests in flight with one write, waits for all replies, and sends again; " +
        "the times are of such a round trip. A ratio is the median of the rounds' ratios; above " +
        "1, Keyline is faster. Durable: a write is on disk before its reply (Redis: " +
        "`appendfsync always`). Memory: nothing is written to disk. The bare loop is the least that a " +
        "server on `Deno.listen` can do: it counts lines and always sends the same replies. Where it " +
        "is durable, it first writes and syncs the packets with a PUT, once in a turn.",
      mainTable(results),
    );
  }
  if (curves) {
    parts.push(
      "## Throughput",
      `${curves.writes} % writes, values of ${curves.valueBytes} bytes, the median of ` +
        `${curves.rounds} rounds of ${curves.seconds} s (${curves.date}).`,
      "![Requests per second over requests in flight, and over clients](throughput.svg)",
    );
  }
  if (wide) {
    parts.push(
      "## Larger values, larger tables, more clients",
      `The same, over tables of their own; the median of ${wide.rounds} rounds of ${wide.seconds} s ` +
        `(${wide.date}). The curves are of its cells with 50 clients and 10 % writes.`,
      "![Requests per second over the number of keys, and over the size of values](sizes.svg)",
      wideTable(results),
    );
  }
  if (more) {
    parts.push(
      "## Start-up, memory, stalls, many clients",
      `Each was measured once, except the start without keys, which is a median (${more.date}). ` +
        "CLEAR is FLUSHALL in Redis and flush_all in memcached.",
      moreTable(results),
    );
  }
  return parts.join("\n\n") + "\n";
}

/** The main comparison, a table for each mode; empty if it was not measured. */
export function mainTable(results: Results): string {
  const cells = results.main?.cells ?? [];
  return bothModes((mode) => modeTable(mode, cells, { heads: [], of: () => [] }));
}

/** The comparison over other sizes, a table for each mode; empty if it was not measured. */
export function wideTable(results: Results): string {
  const cells = results.wide?.cells ?? [];
  const sizes = {
    heads: ["keys", "value, bytes"],
    of: ({ keys, valueBytes }: WideCell) => [keys, valueBytes].map(figure),
  };
  return bothModes((mode) => modeTable(mode, cells, sizes));
}

/** The other figures, a row for each; empty if they were not measured. */
export function moreTable(results: Results): string {
  const rows = results.more?.rows ?? [];
  const measured = new Set(rows.flatMap(({ values }) => Object.keys(values)));
  const columns = CONTENDERS.filter(({ mode, protocol }) => measured.has(`${mode} ${protocol}`));
  if (columns.length === 0) return "";
  const heads = columns.map(({ mode, protocol }) => `${NAMES[protocol]}, ${mode}`);
  return table(
    ["", "unit", ...heads],
    rows.map(({ what, unit, values }) => [
      what,
      unit,
      ...columns.map(({ mode, protocol }) => figure(values[`${mode} ${protocol}`])),
    ]),
    { leftColumns: 2 },
  );
}

/** Keyline beside Redis for the README: a row for each load, then where and when it was measured. */
export function shortReport(results: Results): string {
  const { machine, versions, main } = results;
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const where = `${machine.cpu}, ${machine.cores} cores, ${machine.fileSystem}`;
  return `${shortTable(results)}\n\n${where}; ${programs.join(", ")}; ${main?.date}.`;
}

function shortTable(results: Results): string {
  const cells = results.main?.cells ?? [];
  const durable = cells.filter(({ mode }) => mode === "durable");
  if (durable.length === 0) return "";
  const rows = durable.map((cell) => {
    const { clients, inFlight, writes } = cell;
    const memory = cells.find((other) =>
      other.mode === "memory" && other.clients === clients && other.inFlight === inFlight &&
      other.writes === writes
    );
    return [
      `${clients} × ${inFlight}`,
      `${writes} %`,
      ...[cell, memory].flatMap((one) => [
        requests(one?.servers.keyline),
        ratio(one?.ratios.redis),
      ]),
    ];
  });
  const heads = ["durable: requests/s", "to Redis", "memory: requests/s", "to Redis"];
  return table(["clients × in flight", "writes", ...heads], rows, { leftColumns: 1 });
}

function machineTable({ machine, versions }: Results): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const rows = [
    ["processor", `${machine.cpu}, ${machine.cores} cores`],
    ["memory", `${machine.memoryGiB} GiB`],
    ["system", machine.kernel],
    ["disk", `${machine.fileSystem}, ${figure(machine.syncUs)} µs to write and sync 4 KiB`],
    ["versions", programs.join(", ")],
  ];
  return table(["machine", ""], rows, { leftColumns: 2 });
}

function bothModes(tableOf: (mode: Mode) => string): string {
  const tables = (["durable", "memory"] as const).map(tableOf);
  const all = tables.filter(Boolean).join("\n\n");
  return all.includes(LIMIT_MARK)
    ? `${all}\n\n${LIMIT_MARK} The load generator was the limit here, not the server.`
    : all;
}

/** A row for each cell of a mode; `more` are columns behind those of the load. */
function modeTable<OneCell extends Cell>(
  mode: Mode,
  cells: readonly OneCell[],
  more: { readonly heads: readonly string[]; readonly of: (cell: OneCell) => readonly string[] },
): string {
  const own = cells.filter((cell) => cell.mode === mode);
  const protocols = (Object.keys(NAMES) as Protocol[])
    .filter((protocol) => own.some(({ servers }) => servers[protocol] !== undefined));
  if (protocols.length === 0) return "";
  const head = [
    `${mode}: clients × in flight`,
    ...more.heads,
    "writes",
    ...protocols.flatMap((protocol) =>
      protocol === "keyline" ? ["Keyline/s"] : [`${NAMES[protocol]}/s`, "ratio"]
    ),
    ...protocols.map((protocol) => `${NAMES[protocol]} p50 / p99 / p99.9 µs`),
  ];
  const rows = own.map((cell) => [
    `${cell.clients} × ${cell.inFlight}`,
    ...more.of(cell),
    `${cell.writes} %`,
    ...protocols.flatMap((protocol) => {
      const rate = requests(cell.servers[protocol]);
      return protocol === "keyline" ? [rate] : [rate, ratio(cell.ratios[protocol])];
    }),
    ...protocols.map((protocol) => roundTrips(cell.servers[protocol])),
  ]);
  return table(head, rows, { leftColumns: 1 });
}

function requests(figures: CellFigures | undefined): string {
  if (figures === undefined) return NOTHING;
  const mark = figures.generatorCpu >= GENERATOR_CPU_MAX ? ` ${LIMIT_MARK}` : "";
  return figure(figures.requestsPerS) + mark;
}

function roundTrips(figures: CellFigures | undefined): string {
  if (figures === undefined) return NOTHING;
  return [figures.p50Us, figures.p99Us, figures.p999Us].map(figure).join(" / ");
}

function ratio(value: number | undefined): string {
  return value === undefined ? NOTHING : value.toFixed(2);
}

/** At least two digits, one of them after the point if need be. */
function figure(value: number | undefined): string {
  if (value === undefined) return NOTHING;
  const digits = Math.abs(value) < 10 ? 1 : 0;
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}
