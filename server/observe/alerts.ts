/**
 * Alerts: once a second, looks at the metrics and the table, keeps the list of current alerts, and logs a
 * line when one begins and one when it ends. So nothing in a request's path writes to the log, however often
 * it fails.
 *
 * @module
 */

import { logEvent, tellFaults } from "./event_log.ts";
import type { Alert, Incidents, Metrics } from "./metrics.ts";
import { failedRequests, type StatsSource } from "./stats.ts";

/** A commit that takes longer is slow, in seconds: most take some hundred microseconds. */
const SLOW_SECONDS = 0.5;
/** How often to look, and how long to gather before logging the same again, in milliseconds. */
const LOOK_MS = 1_000;
const REPEAT_MS = 10_000;
/** An alert ends after this long without another failure, in milliseconds. */
const QUIET_MS = 60_000;

interface Look extends StatsSource {
  /** The table's own statistics, by name. */
  readonly stats: Readonly<Record<string, number>>;
}

/** A check: something that can go wrong. */
interface Check {
  readonly name: string;
  /** Whether it is wrong now: a state, which is logged by whoever notices it. */
  isNow?(look: Look): boolean;
  /** How often it has happened: the alert lasts until it has not happened for a while. */
  count?(look: Look): number;
  /** What to log when the alert begins and when it ends; nothing if other code logs it. */
  readonly events?: readonly [begins: string, ends: string];
  /** Whether it makes requests and commits fail, so that those need no lines of their own. */
  readonly isCause?: true;
  /** Whether another alert explains it. */
  readonly isSymptom?: true;
  /** What to log about the last time. */
  last?(metrics: Metrics): string | undefined;
}

/** The checks, in order of importance to people; causes stand before the symptoms that they explain. */
const CHECKS: readonly Check[] = [
  { name: "disk full", isCause: true, isNow: ({ stats }) => stats.disk_full === 1 },
  {
    name: "memory full",
    isCause: true,
    count: ({ metrics }) => metrics.memoryRefusals,
    events: ["Memory is full: PUT is refused", "Memory has not been full for a minute"],
  },
  { name: "engine lost", isCause: true, isNow: ({ stats }) => stats.engine_reached === 0 },
  { name: "engine full", isCause: true, isNow: ({ stats }) => stats.engine_full === 1 },
  { name: "values damaged", isNow: ({ stats }) => (stats.damaged_records ?? 0) > 0 },
  {
    name: "commits failing",
    isSymptom: true,
    count: ({ metrics }) => metrics.commitsFailed,
    events: ["Commits fail", "Commits do not fail any more"],
    last: ({ lastFailure }) => lastFailure,
  },
  {
    name: "requests failing",
    isSymptom: true,
    count: failedRequests,
    events: ["Requests are answered 500", "Requests are not answered 500 any more"],
    last: ({ lastFailure }) => lastFailure,
  },
  {
    name: "commits slow",
    count: ({ metrics }) => slowCommits(metrics),
    events: [
      `Commits took longer than ${SLOW_SECONDS} s: is the disk busy?`,
      `Commits do not take longer than ${SLOW_SECONDS} s any more`,
    ],
  },
  {
    name: "clients refused",
    count: ({ metrics }) => metrics.refusals.count,
    events: ["Clients were refused, because there are too many", "No more clients are refused"],
  },
  {
    name: "descriptors short",
    isNow: ({ metrics }) => metrics.descriptors?.areShort === true,
    count: ({ metrics }) => metrics.acceptFailures,
  },
];

/** The names of all alerts. */
export const ALERT_NAMES: readonly string[] = CHECKS.map(({ name }) => name);

/** The state of a check. */
interface Known {
  /** Since when it has been wrong, in milliseconds since 1970; undefined if it is not. */
  since: number | undefined;
  /** The count at the last look, and when something began to be counted. */
  count: number;
  countBefore: number;
  /** When the count last grew, by the clock passed to `look`; undefined if that is long ago. */
  grownAt: number | undefined;
  /** Whether its beginning has been logged. */
  isLogged: boolean;
}

/** Something that clients do: it gets a line in the log for each host, for programs that ban hosts. */
class Habit {
  readonly #event: string;
  #toldAt = -Infinity;

  constructor(event: string) {
    this.#event = event;
  }

  /** Logs what has happened since it last did, unless that was a moment ago. */
  look(incidents: Incidents, now: number): void {
    if (now - this.#toldAt < REPEAT_MS) return;
    for (const [host, count] of incidents.takeHosts()) {
      logEvent("warn", this.#event, { from: host === "" ? "others" : host, count });
      this.#toldAt = now;
    }
  }
}

/** The alerts of one server. */
export class Alerts {
  readonly #source: StatsSource;
  readonly #known: readonly Known[] = CHECKS.map(() => ({
    since: undefined,
    count: 0,
    countBefore: 0,
    grownAt: undefined,
    isLogged: false,
  }));
  readonly #timeouts = new Habit("A client was closed, because it took too long");
  readonly #refusals = new Habit("A client was refused");
  readonly #wrong = new Habit("A wrong password was given");

  /** Each call of `look` puts the current alerts in the list of the metrics. */
  constructor(source: StatsSource) {
    this.#source = source;
  }

  /** Looks once; `now` is in milliseconds, of any monotonic clock. */
  look(now: number): void {
    const { metrics, table } = this.#source;
    const look = { ...this.#source, stats: table.stats() };
    let isExplained = false;
    metrics.alerts = CHECKS.flatMap((check, i): Alert[] => {
      const known = this.#known[i]!;
      this.#count(check, known, { look, now, isExplained });
      const isActive = known.grownAt !== undefined || check.isNow?.(look) === true;
      isExplained ||= isActive && check.isCause === true;
      known.since = isActive ? known.since ?? look.now() : undefined;
      return known.since === undefined ? [] : [{ name: check.name, since: known.since }];
    });
    this.#timeouts.look(metrics.timeouts, now);
    this.#refusals.look(metrics.refusals, now);
    this.#wrong.look(metrics.wrongPasswords, now);
    tellFaults(now);
  }

  /** Looks periodically, without keeping the process alive. */
  start(): void {
    Deno.unrefTimer(setInterval(() => this.look(performance.now()), LOOK_MS));
  }

  /** Notes whether a count has grown, and logs when it begins to grow and when it has stopped for a while. */
  #count(
    { count: countNow, events, isSymptom, last }: Check,
    known: Known,
    { look, now, isExplained }: { look: Look; now: number; isExplained: boolean },
  ): void {
    const before = known.count;
    known.count = countNow?.(look) ?? 0;
    if (isSymptom && isExplained) return;
    if (known.count > before) {
      if (known.grownAt === undefined) known.countBefore = before;
      known.grownAt = now;
      if (known.isLogged || events === undefined) return;
      known.isLogged = true;
      const why = last?.(look.metrics);
      const count = known.count - before;
      logEvent("warn", events[0], { count, ...(why !== undefined && { last: why }) });
    } else if (known.grownAt !== undefined && now - known.grownAt >= QUIET_MS) {
      known.grownAt = undefined;
      if (known.isLogged) logEvent("info", events![1], { count: known.count - known.countBefore });
      known.isLogged = false;
    }
  }
}

function slowCommits({ commitSeconds: { bounds, counts } }: Metrics): number {
  let slow = 0;
  for (let i = bounds.indexOf(SLOW_SECONDS) + 1; i < counts.length; i++) slow += counts[i]!;
  return slow;
}
