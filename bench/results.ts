/**
 * The shape of results.json, from which every table and plot is made. Written by main.ts; read by
 * report.ts and plot.ts.
 *
 * @module
 */
import type { Mode, Protocol } from "./peers.ts";

/** Everything that was measured; parts that were not are missing. */
export interface Results {
  readonly machine: Machine;
  /** Versions by the name of the program. */
  readonly versions: Readonly<Record<string, string>>;
  readonly main?: MainPart;
  readonly curves?: CurvesPart;
  readonly wide?: WidePart;
  readonly more?: MorePart;
}

/** The machine; `syncUs` is the median time to write and sync 4 KiB. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly syncUs: number;
}

/** The comparison cell by cell: figures are the medians of the rounds. */
export interface MainPart {
  readonly date: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly cells: readonly Cell[];
}

/** One load on all servers of a mode. */
export interface Cell {
  readonly mode: Mode;
  readonly clients: number;
  readonly inFlight: number;
  /** Percent of the requests that store a value. */
  readonly writes: number;
  readonly servers: Readonly<Partial<Record<Protocol, CellFigures>>>;
  /** Keyline's requests per second over the peer's: the median of the rounds' ratios. */
  readonly ratios: Readonly<Partial<Record<Protocol, number>>>;
}

/** Requests per second, and the round trip of a batch in microseconds. */
export interface CellFigures {
  readonly requestsPerS: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  /** The share of one CPU that the load generator used. */
  readonly generatorCpu: number;
}

/** Throughput over requests in flight, and over clients. */
export interface CurvesPart {
  readonly date: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly writes: number;
  readonly valueBytes: number;
  /** The clients of the points of `byInFlight`. */
  readonly clients: number;
  readonly byInFlight: readonly Curve[];
  /** One request in flight for each client. */
  readonly byClients: readonly Curve[];
}

/** One server's throughput. */
export interface Curve {
  readonly protocol: Protocol;
  readonly mode: Mode;
  readonly points: readonly Point[];
}

/** Requests per second where `at` is the number of requests in flight or of clients. */
export interface Point {
  readonly at: number;
  readonly requestsPerS: number;
  readonly generatorCpu: number;
}

/** How large a table is: its keys, and the size of their values. */
export interface Size {
  readonly keys: number;
  readonly valueBytes: number;
}

/** The comparison with larger values, larger tables and more clients. */
export interface WidePart {
  readonly date: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly cells: readonly WideCell[];
}

/** One load on all servers of a mode, over a table of its own. */
export interface WideCell extends Cell, Size {}

/** Start, memory, stalls, and many clients. */
export interface MorePart {
  readonly date: string;
  readonly rows: readonly MoreRow[];
}

/** One figure of each server, by `mode protocol`; missing if it was not measured. */
export interface MoreRow {
  readonly what: string;
  readonly unit: string;
  readonly values: Readonly<Record<string, number>>;
}

/** The middle one of the numbers, or the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)];
  const high = sorted[Math.floor(sorted.length / 2)];
  if (low === undefined || high === undefined) throw new Error("Cannot take a median: no numbers");
  return (low + high) / 2;
}
