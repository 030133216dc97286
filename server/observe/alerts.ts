/**
 * What is wrong: looks at the counts of the metrics and at the table once a second, keeps the list of what is
 * wrong now, and logs a line when something begins and one when it ends. So nothing on a request's way writes
 * to the log, however often it happens.
 *
 * @module
 */

import { logEvent, tellFaults } from "./event_log.ts";
import type { Alert, Incidents, Metrics } from "./metrics.ts";
import { failedRequests, type Source } from "./stats.ts";

/** From when on a commit is slow, in seconds: most take some hundred microseconds. */
const SLOW_SECONDS = 0.5;
/** How often to look, and how long to gather before the same is told again, in milliseconds. */
const LOOK_MS = 1_000;
const REPEAT_MS = 10_000;
/** After so long without another failure it is over, in milliseconds. */
const QUIET_MS = 60_000;

/** What is looked at. */
export type Watched = Pick<Source, "table" | "registry" | "metrics" | "now">;

interface Look extends Watched {
  /** What the table says of itself, by name. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Something that can be wrong. */
interface Check {
  readonly name: string;
  /** Whether it is so now: a state, which is logged where it is noticed. */
  isNow?(look: Look): boolean;
  /** How often it has happened: it is so until it has not happened for a while. */
  count?(look: Look): number;
  /** What to log when that begins and when it ends; nothing where it is logged elsewhere. */
  readonly events?: readonly [begins: string, ends: string];
  /** Whether it makes requests and commits fail, so that these need no lines of their own. */
  readonly isCause?: true;
  /** Whether a cause explains it. */
  readonly isSymptom?: true;
  /** What to log of the last time. */
  last?(metrics: Metrics): string | undefined;
}

/** The checks, in the order in which people should hear of them. */
const CHECKS: readonly Check[] = [
  { name: "disk full", isCause: true, isNow: ({ stats }) => stats.disk_full === 1 },
  { name: "memory full", count: ({ metrics }) => metrics.memoryRefusals },
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

/** What can be wrong, by name. */
export const ALERT_NAMES: readonly string[] = CHECKS.map(({ name }) => name);

/** What is known of a check. */
interface Known {
  /** Since when it is so, in milliseconds since 1970; undefined where it is not. */
  since: number | undefined;
  /** The count at the last look, and when something began to be counted. */
  count: number;
  countBefore: number;
  /** When the count grew last, by the clock of the looks; undefined where that is long ago. */
  grownAt: number | undefined;
  /** Whether the log has that it has begun. */
  isLogged: boolean;
}

/** Something that clients do: a line of the log for each host that did it, for programs that ban hosts. */
class Habit {
  readonly #event: string;
  #toldAt = -Infinity;

  constructor(event: string) {
    this.#event = event;
  }

  /** Logs what came since it last did, unless that was a moment ago. */
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
  readonly #watched: Watched;
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

  /** What is wrong goes to the list of the metrics, whenever `look` is called. */
  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Looks once; `now` is in milliseconds, of any clock that does not go back. */
  look(now: number): void {
    const { metrics, table } = this.#watched;
    const look = { ...this.#watched, stats: table.stats() };
    const isExplained = CHECKS.some(({ isCause, isNow }) => isCause && isNow?.(look));
    metrics.alerts = CHECKS.flatMap((check, i): Alert[] => {
      const known = this.#known[i]!;
      this.#count(check, known, { look, now, isExplained });
      const isActive = known.grownAt !== undefined || check.isNow?.(look) === true;
      known.since = isActive ? known.since ?? look.now() : undefined;
      return known.since === undefined ? [] : [{ name: check.name, since: known.since }];
    });
    this.#timeouts.look(metrics.timeouts, now);
    this.#refusals.look(metrics.refusals, now);
    this.#wrong.look(metrics.wrongPasswords, now);
    tellFaults(now);
  }

  /** Looks again and again, while the process has anything else to do. */
  start(): void {
    Deno.unrefTimer(setInterval(() => this.look(performance.now()), LOOK_MS));
  }

  /** Notes whether a count has grown, and logs that it does so, or has not for a while. */
  #count(
    { count: countNow, events, isSymptom, last }: Check,
    known: Known,
    { look, now, isExplained }: { look: Look; now: number; isExplained: boolean },
  ): void {
    const before = known.count;
    known.count = countNow?.(look) ?? 0;
    if (known.count > before) {
      if (known.grownAt === undefined) known.countBefore = before;
      known.grownAt = now;
      if (known.isLogged || events === undefined || (isSymptom && isExplained)) return;
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
