/**
 * Histograms: what a few buckets tell of many values.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Histogram } from "../../../server/observe/histogram.ts";
import { Latency, Metrics } from "../../../server/observe/metrics.ts";

Deno.test("a bucket holds its own bound, and what is larger goes to the next", () => {
  const histogram = new Histogram(Float64Array.of(1, 2, 5));
  for (const value of [0, 1, 1.001, 2, 5, 5.001, 1_000]) histogram.add(value);
  assertEquals([...histogram.counts], [2, 2, 1, 2]);
  assertEquals([histogram.count, histogram.max], [7, 1_000]);
});

Deno.test("bounds grow, by less than twice, and print with one or two digits", () => {
  const { bounds } = Histogram.ofSeconds();
  assertEquals([bounds[0], bounds.at(-1)], [0.00002, 10]);
  for (let i = 1; i < bounds.length; i++) {
    assert(bounds[i]! > bounds[i - 1]! && bounds[i]! < 2 * bounds[i - 1]!, String(bounds[i]));
  }
  assert([...bounds].every((bound) => String(bound).replace(/^[0.]+/, "").length <= 3));
});

Deno.test("a quantile is as near as its bucket, and never above the largest value", () => {
  const histogram = Histogram.ofSeconds();
  assertEquals(histogram.quantile(0.5), 0);
  for (let ms = 1; ms <= 1_000; ms++) histogram.add(ms / 1_000);
  for (const share of [0.1, 0.5, 0.9, 0.99, 0.999]) {
    const ratio = histogram.quantile(share) / share;
    assert(ratio > 1 / 1.7 && ratio < 1.7, `${share}: ${histogram.quantile(share)}`);
  }
  const few = Histogram.ofSeconds();
  few.add(0.0011, 3);
  assertEquals([few.count, few.quantile(0.99)], [3, 0.0011]);
});

Deno.test("the requests of a turn are counted when it ends, each under its operation", () => {
  const metrics = new Metrics({ version: "0.0.0", startedAt: 0 });
  const [get, put, idle] = [new Latency(), new Latency(), new Latency()];
  for (let i = 0; i < 3; i++) metrics.countAnswer(get);
  metrics.countAnswer(put);
  assertEquals(get.seconds.count, 0);
  metrics.countTurn(2);
  metrics.countTurn(1_000); // of a turn that answered none
  metrics.countAnswer(get);
  metrics.countTurn(40);
  assertEquals([get, put, idle].map(({ seconds }) => seconds.count), [4, 1, 0]);
  assertEquals([get.seconds.max, put.seconds.max], [0.04, 0.002]);
  assertEquals([metrics.turnRequests.count, metrics.turnRequests.sum], [2, 5]);
});
