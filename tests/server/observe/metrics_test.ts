/**
 * The figures that STATS lists: what they count, and that they are there.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import get from "../../../commands/get.ts";
import incr from "../../../commands/incr.ts";
import put from "../../../commands/put.ts";
import stats from "../../../commands/stats.ts";
import { answer } from "../../support/answer.ts";
import { Line } from "../../../server/input/line.ts";
import { contextWith } from "../../support/context.ts";
import { ServerProcess, testServer } from "../../support/harness.ts";

Deno.test("STATS counts requests by operation and code, and tells how long the server is up", async () => {
  let now = 1_700_000_000_000;
  const context = contextWith({ get, incr, put, stats }, { now: () => now });
  for (const line of ["PUT a 1", "PUT b 1", "GET a", "GET x", "GET", "SET a", "", "INCR a y"]) {
    await answer(Line.of(line), context);
  }
  now += 90_000;
  const figures = figuresOf((await answer(Line.of("STATS"), context)).wire.split("\r\n"));
  const expected = {
    uptime_seconds: "90",
    table: "memory",
    keys: "2",
    requests_put_200: "2",
    requests_get_200: "1",
    requests_get_404: "1",
    requests_get_400: "1",
    requests_incr_400: "1",
    requests_malformed: "1",
    requests_unsupported: "1",
  };
  for (const [name, value] of Object.entries(expected)) assertEquals(figures[name], value, name);
  assert(!("requests_delete_200" in figures), "what was never answered is left out");
});

testServer(
  "STATS has figures of connections, commits, the disk, the cache and memory",
  async () => {
    await using server = await ServerProcess.start();
    using client = await server.connect();
    using _other = await server.connect();
    for (const line of ["PUT a 1", "GET a", "GET x", "PUT b 1"]) await client.ask(line);
    await client.send("STATS\r\n");
    const figures = figuresOf(await client.reply());
    assertEquals(figures.table, server.data);
    const exact = {
      keys: 2,
      connections: 2,
      connections_accepted: 2,
      connections_refused: 0,
      commits: 2,
    };
    for (const [name, value] of Object.entries(exact)) {
      assertEquals(figures[name], String(value), name);
    }
    const positive = [
      ...["disk_bytes", "live_bytes", "table_bytes"],
      ...["commit_duration_seconds_p50", "memory_bytes"],
    ];
    for (const name of positive) {
      assert(Number(figures[name]) > 0, `${name} ${figures[name]}`);
    }
    for (const name of ["compacted_bytes", "cache_hits", "cache_misses", "damaged_records"]) {
      assertMatch(figures[name] ?? "", /^\d+$/, name);
    }
  },
);

/** The figures of a reply to STATS, by name. */
function figuresOf(lines: readonly string[]): Record<string, string> {
  const pairs = lines.filter((line) => line.startsWith("200-")).map((line) => {
    const [, name, value] = /^200-(\S+) (.*)$/.exec(line)!;
    return [name, value];
  });
  return Object.fromEntries(pairs);
}
