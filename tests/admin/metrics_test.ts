/**
 * `/metrics`, as a parser that is not ours reads it, and as `promtool` judges it where that is installed;
 * and that nothing that is counted is left out.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exposition } from "../../admin/exposition.ts";
import { STATS, TABLE_STATS } from "../../server/observe/stats.ts";
import { Metrics } from "../../server/observe/metrics.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { contextOfAll } from "../support/context.ts";
import { tempFolder, testServer, testWith, testWithProgram } from "../support/harness.ts";
import { runTool } from "../tools/tool.ts";
import { AdminServer } from "./admin_server.ts";

/** What the parser gives for a metric. */
interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly {
    readonly value?: string;
    readonly labels?: Record<string, string>;
    readonly buckets?: Record<string, string>;
    readonly count?: string;
    readonly sum?: string;
  }[];
}

testServer("/metrics tells what the clients did, as a parser of others reads it", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  for (const line of ["PUT a 1", "PUT b 2", "GET a", "GET x", "GET", "NOSUCH", ""]) {
    await client.ask(line);
  }
  const families = await parsed((await server.get("metrics")).body);
  const one = (name: string) => Number(families.get(`keyline_${name}`)!.metrics[0]!.value);
  assertEquals([one("keys"), one("connections"), one("commits_total")], [2, 1, 2]);
  assertEquals([one("requests_malformed_total"), one("requests_unsupported_total")], [1, 1]);
  assertEquals(one("received_bytes_total"), "PUT a 1PUT b 2GET aGET xGETNOSUCH".length + 7 * 2);
  for (const name of ["sent_bytes_total", "memory_bytes", "cpu_seconds_total", "disk_bytes"]) {
    assert(one(name) > 0, name);
  }
  const answers = families.get("keyline_requests_total")!.metrics.map(({ labels, value }) =>
    `${labels!.operation} ${labels!.code} ${value}`
  );
  assertEquals(
    answers.filter((answer) => !answer.endsWith(" 0")),
    ["get 200 1", "get 400 1", "get 404 1", "put 200 2"],
  );
  assertEquals(
    answers.filter((answer) => answer.startsWith("incr ")),
    [200, 400, 401, 409, 500].map((code) => `incr ${code} 0`),
    "what can happen is counted from 0 on",
  );
  assertEquals(one("request_duration_seconds_count"), 3); // GET comes first
  assert(one("request_duration_seconds_sum") > 0);
  const buckets = families.get("keyline_request_duration_seconds_bucket")!.metrics
    .filter(({ labels }) => labels!.operation === "get")
    .map(({ labels, value }) => ({ le: Number(labels!.le!.replace("+Inf", "Infinity")), value }));
  assertEquals(
    buckets.map(({ le }) => le),
    [...buckets.map(({ le }) => le)].sort((a, b) => a - b),
  );
  assertEquals([buckets.at(-1)!.le, buckets.at(-1)!.value, buckets[0]!.value], [
    Infinity,
    "3",
    "0",
  ]);
  assertEquals(families.get("keyline_commit_duration_seconds")!.metrics[0]!.count, "2");
});

testServer("/metrics tells the process, the room on the disk, and the last backup", async () => {
  const copies = tempFolder();
  try {
    await using server = await AdminServer.start({ args: ["--max-connections", "77"] });
    const { data } = server.process;
    using client = await server.process.connect();
    for (const line of ["PUT a 1", "PUT a 2", "DELETE a", "PUT b 1"]) await client.ask(line);
    const before = await parsed((await server.get("metrics")).body);
    const one = (families: Map<string, Family>, name: string) =>
      Number(families.get(name)!.metrics[0]!.value);
    assertEquals(one(before, "keyline_connections_max"), 77);
    const age = Date.now() / 1_000 - one(before, "process_start_time_seconds");
    assert(age > 0 && age < 60, `${age} s`);
    const [open, most] = ["open", "max"].map((which) => one(before, `process_${which}_fds`));
    assert(open! > 5 && open! < most! && most! >= 77 + 128, `${open} of ${most}`);
    const { bavail, bsize } = statfsSync(data);
    const free = one(before, "keyline_disk_free_bytes");
    assert(Math.abs(free - bavail * bsize) < 1 << 30, `${free} bytes`);
    assertEquals([one(before, "keyline_disk_full"), one(before, "keyline_writable")], [0, 1]);
    assert(one(before, "keyline_dead_bytes") > one(before, "keyline_live_bytes"));
    assert(!before.has("keyline_last_backup_timestamp_seconds"), "there is none");
    const startedAt = Date.now() / 1_000;
    const { code, stderr } = await runTool("backup", { args: [`${copies}/a`, "--data", data] });
    assertEquals(code, 0, stderr);
    const after = await parsed((await server.get("metrics")).body);
    const madeAt = one(after, "keyline_last_backup_timestamp_seconds");
    assert(madeAt >= startedAt - 1 && madeAt <= Date.now() / 1_000, `${madeAt} at ${startedAt}`);
    const failed = await runTool("backup", { args: [`${copies}/a`, "--data", data] });
    assertEquals(failed.code, 1, "there is that file already");
    const again = await parsed((await server.get("metrics")).body);
    assertEquals(one(again, "keyline_last_backup_timestamp_seconds"), madeAt);
  } finally {
    Deno.removeSync(copies, { recursive: true });
  }
});

testServer("as many descriptors are told as the system has in use", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const clients = await Promise.all(
    Array.from({ length: 50 }, () => server.process.connect()),
  );
  for (const client of clients) await client.ask("COUNT");
  const told = await parsed((await server.get("metrics")).body);
  const open = Number(told.get("process_open_fds")!.metrics[0]!.value);
  const { stdout } = await new Deno.Command("ls", {
    args: [`/proc/${server.process.pid}/fd`],
  }).output();
  const found = new TextDecoder().decode(stdout).trim().split("\n").length;
  clients.forEach((client) => client[Symbol.dispose]());
  // The connection of this question is one that is not told.
  assert(Math.abs(open - found) <= 5, `${open} told, ${found} found`);
});

testWith(
  ["read"],
  "each figure has a name, a unit and a help as Prometheus wants them",
  async () => {
    const context = await contextOfAll();
    const families = await parsed(exposition(context));
    for (const { name, type, help } of STATS) {
      assertEquals(name.endsWith("_total"), type === "counter", name);
      assert(/^[a-z_]+$/.test(name) && !/_(ms|us|ns|kib|mib|percent)(_|$)/.test(name), name);
      assert(/^[A-Z0-9].*[^.]$/.test(help), help);
    }
    assertEquals(new Set(STATS.map(({ name }) => name)).size, STATS.length);
    for (const { name } of families.values()) assert(/^(keyline|process)_/.test(name), name);
  },
);

testWith(["read", "write"], "whatever a table tells of itself is a figure", () => {
  const folder = tempFolder();
  const durable = new DurableTable(folder, { cacheBytes: 1_000_000 });
  try {
    for (const table of [new MemoryTable(), durable]) {
      const names = Object.keys(table.stats());
      assertEquals(names.filter((name) => !TABLE_STATS.has(name)), []);
    }
  } finally {
    durable.close();
    Deno.removeSync(folder, { recursive: true });
  }
});

testWith(["read"], "a folder's name can't break the format", async () => {
  const table = new MemoryTable();
  Object.defineProperty(table, "location", { value: 'a "b" \\ c\nkeyline_keys 7' });
  const text = exposition({ ...await contextOfAll({ table }) });
  assertStringIncludes(text, 'table="a \\"b\\" \\\\ c\\nkeyline_keys 7"');
  assertEquals((await parsed(text)).get("keyline_keys")!.metrics[0]!.value, "0");
});

testWith(["read"], "a page of many operations and values is of bounded size", async () => {
  const context = await contextOfAll();
  const metrics = new Metrics({ version: "0.0.0", startedAt: 0 });
  for (const { latency, answered } of context.registry) {
    for (let ms = 0.01; ms < 20_000; ms *= 1.3) latency.seconds.add(ms / 1_000, 1e6);
    for (const code of [200, 400, 401, 404, 409, 500]) answered[code] = 1e9;
  }
  const text = exposition({ ...context, metrics });
  assert(text.length < 100_000, String(text.length));
});

testWithProgram("promtool", "promtool finds nothing wrong with /metrics", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  for (const line of ["PUT a 1", "GET a", "INCR a", "STATS"]) await client.ask(line);
  const { body } = await server.get("metrics");
  const child = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(body));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assertEquals([code, said], [0, ""]);
});

async function parsed(text: string): Promise<Map<string, Family>> {
  const { default: parse } = await import("npm:parse-prometheus-text-format@1.1.1");
  // It makes one histogram of those of all operations. Without their type their lines are as they are.
  const untyped = text.replace(/^# TYPE keyline_request_duration_seconds histogram$/m, "");
  const families: Family[] = (parse as unknown as (text: string) => Family[])(untyped);
  const byName = new Map<string, Family>();
  for (const family of families) {
    const before = byName.get(family.name)?.metrics ?? [];
    byName.set(family.name, { ...family, metrics: [...before, ...family.metrics] });
  }
  return byName;
}
