/** STATS: the statistics of the server, as lines for people. */

import type { Command } from "../server/command.ts";
import { INFO, nameInStats, readStats, type Sample } from "../server/observe/stats.ts";
import type { Histogram } from "../server/observe/histogram.ts";
import { okLines } from "../server/reply.ts";

export default {
  summary: "List statistics of the server, its table, and its requests",
  arity: [],
  replies: { 200: "a line for each: its name, a space, its value" },
  handler(_, source) {
    return okLines(
      readStats(source, { keys: source.table.count() }).flatMap(({ stat, samples }) =>
        samples.filter(isOfInterest).flatMap((sample) => linesOf(stat.name, sample))
      ),
    );
  },
} satisfies Command<[]>;

/** Most operations have not got most of the codes that they can get. */
function isOfInterest({ labels, value }: Sample): boolean {
  return labels === undefined || value !== 0;
}

function linesOf(stat: string, { labels = {}, value }: Sample): string[] {
  // The labels of INFO are lines of their own; those of any other are part of its name.
  if (stat === INFO) return Object.entries(labels).map(([name, text]) => `${name} ${text}`);
  const name = [nameInStats(stat), ...Object.values(labels)].join("_");
  return typeof value === "number" ? [`${name} ${value}`] : summaryOf(name, value);
}

/** A histogram summed up for people. */
function summaryOf(name: string, histogram: Histogram): string[] {
  const digits = (value: number) => Number(value.toPrecision(3));
  return [
    `${name}_p50 ${digits(histogram.quantile(0.5))}`,
    `${name}_p99 ${digits(histogram.quantile(0.99))}`,
    `${name}_max ${digits(histogram.max)}`,
  ];
}
