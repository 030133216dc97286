/**
 * A frame of the live page: what happened in one second, as the difference between two readings of the
 * server's counts. `Live` makes one each second; the page and `deno task top` show them.
 *
 * @module
 */

import { keyCount, type StatsSource } from "../server/observe/stats.ts";
import { type Histogram, quantileOf } from "../server/observe/histogram.ts";
import type { SlowRequest } from "../server/observe/slow_requests.ts";
import type { Alert } from "../server/observe/metrics.ts";

/** How long something took, in seconds. */
export interface Quantiles {
  /** The median. */
  readonly p50: number;
  /** Only one in a hundred took longer. */
  readonly p99: number;
  /** Only one in a thousand took longer. */
  readonly p999: number;
}

/** One second. Rates are per second; null means that there was nothing to measure. */
export interface Frame {
  /** Its end, in milliseconds since 1970. */
  readonly at: number;
  /** Requests by operation, and how long they took; only operations that were used. */
  readonly operations: Readonly<Record<string, Quantiles & { readonly rate: number }>>;
  /** Requests of all operations. */
  readonly rate: number;
  /** How long they took. */
  readonly latency: Quantiles | null;
  /** Commits. */
  readonly commits: number;
  /** How long they took. */
  readonly commit: Quantiles | null;
  /** How many requests shared a turn and its commit, on average. */
  readonly batch: number | null;
  /** Bytes that clients sent. */
  readonly received: number;
  /** Bytes that clients took. */
  readonly sent: number;
  /** Connections that were refused. */
  readonly refused: number;
  /** Lines that were not requests. */
  readonly malformed: number;
  /** Clients that are connected at its end. */
  readonly connections: number;
  /** Keys in the table at its end; null if unknown. */
  readonly keys: number | null;
  /** Memory of the process at its end, in bytes. */
  readonly memory: number;
  /** Size of the table on disk at its end, in bytes; null if it has no disk. */
  readonly disk: number | null;
  /** Values that were read from disk because they were not in memory; null if none can be. */
  readonly diskReads: number | null;
  /** How late the event loop was, at most, for 99 of 100 timers, in seconds. */
  readonly loopDelay: number | null;
  /** Requests that held up the server, the oldest first. */
  readonly slow: readonly SlowRequest[];
  /** The alerts at its end. */
  readonly alerts: readonly Alert[];
}

/** Makes frames. */
export class FrameMaker {
  readonly #source: StatsSource;
  readonly #before = new Before();
  #madeAt: number;

  /** The first frame begins here; `now` is in milliseconds of a monotonic clock. */
  constructor(source: StatsSource, now: number) {
    this.#source = source;
    this.#madeAt = now;
    this.make(now);
  }

  /** What happened since the last frame. */
  make(now: number): Frame {
    const { table, registry, metrics, now: time } = this.#source;
    const { disk_bytes, cache_misses } = table.stats();
    const seconds = Math.max(0.001, (now - this.#madeAt) / 1_000);
    this.#madeAt = now;
    const rate = (name: string, count: number) => round(this.#before.since(name, count) / seconds);
    const all = metrics.commitSeconds.counts.map(() => 0);
    const operations: Record<string, Quantiles & { rate: number }> = {};
    let [answered, longest] = [0, 0];
    for (const { verb, latency } of registry) {
      const recent = this.#before.countsSince(verb, latency.seconds);
      const count = sumOf(recent);
      if (count === 0) continue;
      answered += count;
      longest = Math.max(longest, latency.seconds.max);
      recent.forEach((count, i) => all[i]! += count);
      const quantiles = quantilesOf(recent, latency.seconds)!;
      operations[verb.toLowerCase()] = { rate: round(count / seconds), ...quantiles };
    }
    const { commitSeconds, turnRequests, loopDelay } = metrics;
    const committed = this.#before.countsSince("commit", commitSeconds);
    const turns = sumOf(this.#before.countsSince("turn", turnRequests));
    const inTurns = this.#before.since("in turns", turnRequests.sum);
    const late = this.#before.countsSince("loop", loopDelay);
    const slow = this.#before.since("slow", metrics.slow.count);
    return {
      at: time(),
      operations,
      rate: round(answered / seconds),
      latency: quantilesOf(all, { bounds: commitSeconds.bounds, max: longest }),
      commits: round(sumOf(committed) / seconds),
      commit: quantilesOf(committed, commitSeconds),
      batch: turns === 0 ? null : round(inTurns / turns),
      received: rate("received", metrics.bytesReceived),
      sent: rate("sent", metrics.bytesSent),
      refused: rate("refused", metrics.refusals.count),
      malformed: rate("malformed", metrics.malformed),
      connections: metrics.connections,
      keys: keyCount(this.#source) ?? null,
      memory: Deno.memoryUsage().rss,
      disk: disk_bytes ?? null,
      diskReads: cache_misses === undefined ? null : rate("disk reads", cache_misses),
      loopDelay: quantilesOf(late, loopDelay)?.p99 ?? null,
      slow: slow === 0 ? [] : metrics.slow.last.slice(-slow),
      alerts: metrics.alerts,
    };
  }
}

/** The counts at the last look. */
class Before {
  readonly #numbers = new Map<string, number>();
  readonly #counts = new Map<string, Float64Array>();

  /** How much a count has grown since the last look. */
  since(name: string, count: number): number {
    const grown = count - (this.#numbers.get(name) ?? 0);
    this.#numbers.set(name, count);
    return grown;
  }

  /** The same for each bucket of a histogram. */
  countsSince(name: string, { counts }: Histogram): Float64Array {
    const before = this.#counts.get(name);
    this.#counts.set(name, counts.slice());
    return before === undefined ? counts.slice() : counts.map((count, i) => count - before[i]!);
  }
}

function quantilesOf(
  counts: Float64Array,
  { bounds, max }: Pick<Histogram, "bounds" | "max">,
): Quantiles | null {
  if (sumOf(counts) === 0) return null;
  const at = (share: number) =>
    round(Math.min(quantileOf({ bounds, counts }, share), max || Infinity));
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

function sumOf(counts: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  return sum;
}

/** Rounds to three digits: enough for a chart, and an hour of frames is kept. */
function round(value: number): number {
  return Number(value.toPrecision(3));
}
