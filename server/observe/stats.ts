/**
 * The statistics that the server reports: each is listed here once, with its name, its kind, its meaning and
 * how to read it. STATS lists them for people, `/metrics` for Prometheus.
 *
 * Names follow Prometheus' guide: base units, the unit last, and `_total` at the end of counters. Those that
 * begin with `process_` are named as in its client libraries.
 *
 * @module
 */

import process from "node:process";
import type { OperationInfo, Services } from "../command.ts";
import type { Histogram } from "./histogram.ts";

/** What statistics are read from. */
export type StatsSource = Pick<Services, "table" | "registry" | "metrics" | "now">;

/** The same, with the table's own statistics, read once. */
export interface StatsReading extends StatsSource {
  /** How many keys there are; undefined if unknown. */
  readonly keys: number | undefined;
  /** The table's own statistics, by name. */
  readonly stats: Readonly<Record<string, number>>;
}

/** One value of a statistic. */
export interface Sample {
  /** What distinguishes it from the statistic's other values: the operation, the code. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A number, or many of them by size. */
  readonly value: number | Histogram;
}

/** One statistic. */
export interface Stat {
  /** Its name, without the `keyline_` that `/metrics` puts before it unless it begins with `process_`. */
  readonly name: string;
  /** A counter only grows, a gauge goes up and down, a histogram counts by size. */
  readonly type: "counter" | "gauge" | "histogram";
  /** What it means, in a sentence without its full stop. */
  readonly help: string;
  /** Its values; a statistic that has none now is left out. */
  read(reading: StatsReading): readonly Sample[];
}

/** A statistic with its values of the moment. */
export interface StatValues {
  /** Which statistic. */
  readonly stat: Stat;
  /** Its values: at least one. */
  readonly samples: readonly Sample[];
}

/** The codes that any operation can answer. */
const COMMON_CODES: ReadonlySet<number> = new Set([400, 401, 500]);
/** The name of the statistic whose labels are texts, which STATS puts on lines of their own. */
export const INFO = "info";

/** Every statistic, in the order in which they are listed. */
export const STATS: readonly Stat[] = [
  {
    name: INFO,
    type: "gauge",
    help: "The version of the server, and where its table is",
    read: ({ table, metrics: { version } }) => [{
      labels: { version, table: table.location },
      value: 1,
    }],
  },
  gauge(
    "uptime_seconds",
    "Seconds since the server started",
    ({ metrics, now }) => Math.round((now() - metrics.startedAt) / 1_000),
  ),
  gauge("keys", "Keys in the table", ({ keys }) => keys),
  ofTable("table_bytes", "gauge", "Memory that the table takes, in bytes"),
  ofTable("table_bytes_max", "gauge", "Memory that the table may take, in bytes"),
  ofTable("evicted_keys_total", "counter", "Keys that were removed because memory was full"),
  ofTable("disk_bytes", "gauge", "Size of the log on disk, in bytes"),
  ofTable("live_bytes", "gauge", "What the newest record of each key takes of the log, in bytes"),
  ofTable("dead_bytes", "gauge", "What all the other records take of the log, in bytes"),
  gauge(
    "disk_free_bytes",
    "Room on the disk of the table, in bytes",
    ({ metrics }) => metrics.dataFolder?.freeBytes,
  ),
  gauge(
    "last_backup_timestamp_seconds",
    "When the table was backed up last, in seconds since 1970",
    ({ metrics }) => metrics.dataFolder?.lastBackup,
  ),
  ofTable("disk_full", "gauge", "1 where the disk is full, and PUT is refused"),
  ofTable(
    "compacted_bytes_total",
    "counter",
    "Bytes of records that compaction has copied, to free their place",
  ),
  ofTable("cache_hits_total", "counter", "Look-ups that found their value in memory"),
  ofTable("cache_misses_total", "counter", "Look-ups that had to read their value from disk"),
  ofTable(
    "damaged_records_total",
    "counter",
    "Damaged places that look-ups and compaction have met on disk",
  ),
  ofTable("log_bytes", "gauge", "What the log in etcd adds to the snapshot, in bytes"),
  ofTable("snapshot_bytes", "gauge", "Size of the table's snapshot in etcd, in bytes"),
  ofTable("snapshots_total", "counter", "Snapshots that this server has written to etcd"),
  ofTable("engine_reached", "gauge", "1 where the table's engine answered when asked last, else 0"),
  ofTable("engine_full", "gauge", "1 where the table's engine takes no changes, but can be read"),
  ofTable("engine_calls_total", "counter", "Times that turns have asked the table's engine"),
  ofTable(
    "conflicts_total",
    "counter",
    "Turns that ran again, because others had changed the table",
  ),
  ofTable("expired_keys_total", "counter", "Expired keys that were removed"),
  ofTable(
    "writable",
    "gauge",
    "1 where the table takes changes, 0 where the disk is full or failed",
  ),
  gauge("connections", "Clients that are connected", ({ metrics }) => metrics.connections),
  gauge(
    "connections_max",
    "Clients that there may be at a time",
    ({ metrics }) => metrics.connectionsMax || undefined,
  ),
  counter(
    "accept_failures_total",
    "Times that the system had no descriptor or memory for another connection",
    ({ metrics }) => metrics.acceptFailures,
  ),
  counter(
    "connections_accepted_total",
    "Connections that were accepted",
    ({ metrics }) => metrics.connectionsAccepted,
  ),
  counter(
    "connections_refused_total",
    "Connections that were refused because there were too many",
    ({ metrics }) => metrics.refusals.count,
  ),
  counter(
    "connections_timed_out_total",
    "Connections that were closed because their clients took too long",
    ({ metrics }) => metrics.timeouts.count,
  ),
  counter(
    "slow_requests_total",
    "Requests that held up the server for longer than --slow",
    ({ metrics }) => metrics.slow.count,
  ),
  counter(
    "wrong_passwords_total",
    "Wrong passwords that were given",
    ({ metrics }) => metrics.wrongPasswords.count,
  ),
  counter(
    "received_bytes_total",
    "Bytes that clients have sent",
    ({ metrics }) => metrics.bytesReceived,
  ),
  counter(
    "sent_bytes_total",
    "Bytes of replies that clients have taken",
    ({ metrics }) => metrics.bytesSent,
  ),
  counter(
    "commits_total",
    "Commits that wrote something",
    ({ metrics }) => metrics.commitSeconds.count,
  ),
  counter("commits_failed_total", "Commits that failed", ({ metrics }) => metrics.commitsFailed),
  counter(
    "failed_requests_total",
    "Requests that were answered 500, those of failed commits included",
    failedRequests,
  ),
  counter(
    "memory_refusals_total",
    "Changes that were refused because memory was full",
    ({ metrics }) => metrics.memoryRefusals,
  ),
  histogram(
    "commit_duration_seconds",
    "How long commits take, their sync included",
    ({ metrics }) => metrics.commitSeconds,
  ),
  histogram("turn_requests", "Requests that one turn answers, and one commit makes durable", (
    { metrics },
  ) => metrics.turnRequests),
  histogram("event_loop_delay_seconds", "How late timers are, while the admin port is open", (
    { metrics },
  ) => metrics.loopDelay),
  gauge(
    "memory_bytes",
    "Memory of the process (resident set), in bytes",
    () => Deno.memoryUsage().rss,
  ),
  gauge(
    "process_start_time_seconds",
    "When the server started, in seconds since 1970",
    ({ metrics }) => metrics.startedAt / 1_000,
  ),
  gauge(
    "process_open_fds",
    "File descriptors in use: those of the start, and one for each client",
    ({ metrics: { descriptors, connections } }) => descriptors && descriptors.used + connections,
  ),
  gauge(
    "process_max_fds",
    "File descriptors that there can be; where there are enough for all clients, those that need be",
    ({ metrics }) => metrics.descriptors?.max,
  ),
  counter("cpu_seconds_total", "Processor time that the process has used, in seconds", cpuSeconds),
  counter(
    "requests_malformed_total",
    "Lines that are no request",
    ({ metrics }) => metrics.malformed,
  ),
  counter(
    "requests_unsupported_total",
    "Requests whose verb no operation has",
    ({ metrics }) => metrics.unsupported,
  ),
  {
    name: "requests_total",
    type: "counter",
    help:
      "Requests that were answered, by operation and reply code, before a commit that fails makes it 500",
    read: ({ registry }) => [...registry].flatMap(answersOf),
  },
  {
    name: "request_duration_seconds",
    type: "histogram",
    help: "From when a line joins a turn to when its reply leaves, by operation",
    read: ({ registry }) =>
      [...registry].filter(({ latency }) => latency.seconds.max > 0).map(({ verb, latency }) => ({
        labels: { operation: verb.toLowerCase() },
        value: latency.seconds,
      })),
  },
];

/** Reads every statistic except the number of keys; those without a value now are left out. */
export function readStats(
  source: StatsSource,
  { keys }: { keys: number | undefined },
): StatValues[] {
  const reading = { ...source, keys, stats: source.table.stats() };
  return STATS.map((stat) => ({ stat, samples: stat.read(reading) }))
    .filter(({ samples }) => samples.length > 0);
}

/** The names that a table's `stats()` may use; any other would not be shown. */
export const TABLE_STATS: ReadonlySet<string> = new Set(
  STATS.map(({ name }) => nameInStats(name)),
);

function gauge(
  name: string,
  help: string,
  read: (reading: StatsReading) => number | undefined,
): Stat {
  return single(name, { type: "gauge", help, read });
}

function counter(name: string, help: string, read: (reading: StatsReading) => number): Stat {
  return single(name, { type: "counter", help, read });
}

/** A histogram; left out while it is empty. */
function histogram(name: string, help: string, of: (reading: StatsReading) => Histogram): Stat {
  const read = (reading: StatsReading) => of(reading).count > 0 ? of(reading) : undefined;
  return single(name, { type: "histogram", help, read });
}

/** A statistic of the table's own; left out if the table has none. */
function ofTable(name: string, type: "counter" | "gauge", help: string): Stat {
  const own = nameInStats(name);
  return single(name, { type, help, read: ({ stats }) => stats[own] });
}

/** A statistic of one value. */
function single(
  name: string,
  { type, help, read }: Pick<Stat, "type" | "help"> & {
    read: (reading: StatsReading) => number | Histogram | undefined;
  },
): Stat {
  return {
    name,
    type,
    help,
    read(reading) {
      const value = read(reading);
      return value === undefined ? [] : [{ value }];
    },
  };
}

/**
 * The name of a statistic in STATS and in a table's `stats()`: without `_total`, which means nothing to a
 * person.
 */
export function nameInStats(name: string): string {
  return name.replace(/_total$/, "");
}

/** How many keys there are; undefined for a table in an engine, which tells that to a turn alone. */
export function keyCount({ table }: StatsSource): number | undefined {
  try {
    return table.count();
  } catch {
    return undefined;
  }
}

/** How many requests were answered 500. */
export function failedRequests(
  { registry, metrics }: Pick<StatsSource, "registry" | "metrics">,
): number {
  let count = metrics.repliesReplaced;
  for (const { answered } of registry) count += answered[500]!;
  return count;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/**
 * How many requests of an operation got each code. Those that it can get are counted from 0 on, as Prometheus
 * advises: a series that begins at 1 shows no increase.
 */
function answersOf(
  { verb, command: { replies }, answered }: Pick<OperationInfo, "verb" | "command" | "answered">,
): { labels: { operation: string; code: string }; value: number }[] {
  const answers = [];
  // A loop: there are some hundreds of codes that no operation ever gives.
  for (let code = 0; code < answered.length; code++) {
    const value = answered[code]!;
    if (value === 0 && !(code in replies) && !COMMON_CODES.has(code)) continue;
    answers.push({ labels: { operation: verb.toLowerCase(), code: String(code) }, value });
  }
  return answers;
}
