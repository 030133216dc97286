/** STATS: the figures that the server gives of itself, as lines for people. */

import type { Command } from "../server/command.ts";
import { INFO, readFigures, type Sample, statOf } from "../server/figures.ts";
import type { Histogram } from "../server/histogram.ts";
import { okLines } from "../server/reply.ts";

export default {
  summary: "List figures of the server, its table, and its requests",
  arity: [],
  replies: { 200: "a line for each figure: its name, a space, its value" },
  handler(_, source) {
    return okLines(
      readFigures(source, { keys: source.table.count() }).flatMap(({ figure, samples }) =>
        samples.flatMap((sample) => linesOf(figure.name, sample))
      ),
    );
  },
} satisfies Command<[]>;

function linesOf(figure: string, { labels = {}, value }: Sample): string[] {
  // Where the labels are what is told, each is a line; else they are part of the name.
  if (figure === INFO) return Object.entries(labels).map(([name, text]) => `${name} ${text}`);
  const name = [statOf(figure), ...Object.values(labels)].join("_");
  return typeof value === "number" ? [`${name} ${value}`] : summaryOf(name, value);
}

/** What a person wants to know of many values. */
function summaryOf(name: string, histogram: Histogram): string[] {
  const digits = (value: number) => Number(value.toPrecision(3));
  return [
    `${name}_p50 ${digits(histogram.quantile(0.5))}`,
    `${name}_p99 ${digits(histogram.quantile(0.99))}`,
    `${name}_max ${digits(histogram.max)}`,
  ];
}
