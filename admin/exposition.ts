/**
 * The statistics in the text format of Prometheus (version 0.0.4), which every monitoring system reads.
 *
 * It is written here because prom-client, the usual library, can't be part of the executable: `deno compile`
 * of Deno 2.9.6 overflows its stack on tdigest, on which that library depends.
 *
 * @module
 */

import {
  keyCount,
  readStats,
  type Sample,
  type Stat,
  type StatsSource,
} from "../server/observe/stats.ts";
import type { Histogram } from "../server/observe/histogram.ts";

/** Its media type. */
export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const PREFIX = "keyline_";

/** All current statistics. */
export function exposition(source: StatsSource): string {
  return readStats(source, { keys: keyCount(source) }).map(({ stat, samples }) =>
    headOf(stat) + samples.map((sample) => linesOf(fullName(stat), sample)).join("")
  ).join("");
}

/** The name of a statistic. Dashboards look for those of a process under the names that every program has. */
export function fullName({ name }: Stat): string {
  return name.startsWith("process_") ? name : PREFIX + name;
}

function headOf(stat: Stat): string {
  const [name, escaped] = [fullName(stat), stat.help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")];
  return `# HELP ${name} ${escaped}.\n# TYPE ${name} ${stat.type}\n`;
}

function linesOf(name: string, { labels = {}, value }: Sample): string {
  if (typeof value === "number") return `${name}${braces(labels)} ${numberOf(value)}\n`;
  return bucketsOf(name, { labels, histogram: value });
}

/** A histogram counts in each bucket what is in the smaller ones as well. */
function bucketsOf(
  name: string,
  { labels, histogram }: { labels: Readonly<Record<string, string>>; histogram: Histogram },
): string {
  const { bounds, counts, sum } = histogram;
  let below = 0;
  let text = "";
  counts.forEach((count, i) => {
    below += count;
    const le = i < bounds.length ? String(bounds[i]) : "+Inf";
    text += `${name}_bucket${braces({ ...labels, le })} ${below}\n`;
  });
  return `${text}${name}_sum${braces(labels)} ${numberOf(sum)}\n${name}_count${
    braces(labels)
  } ${below}\n`;
}

function braces(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, text]) => `${name}="${escapeLabel(text)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

function numberOf(value: number): string {
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : value < 0 ? "-Inf" : "NaN";
}
