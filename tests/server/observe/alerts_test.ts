/**
 * What is wrong: that it is on the list while it is so, and that the log has a line when it begins and one when
 * it ends.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import get from "../../../commands/get.ts";
import put from "../../../commands/put.ts";
import { Alerts } from "../../../server/observe/alerts.ts";
import { Line } from "../../../server/input/line.ts";
import type { Metrics } from "../../../server/observe/metrics.ts";
import { MemoryFullError } from "../../../tables/memtable/memory_full.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { TableError } from "../../../tables/table.ts";
import { answer } from "../../support/answer.ts";
import { contextWith } from "../../support/context.ts";
import { eventOf } from "../../support/harness.ts";
import { logOf } from "../../support/memory_server.ts";

const STARTED_AT = 1_700_000_000_000;

/** A table that says of itself what it is told, and fails on demand. */
class StrickenTable extends MemoryTable {
  said: Record<string, number> = {};
  failure: Error | undefined;

  override stats(): Record<string, number> {
    return { ...super.stats(), ...this.said };
  }

  override put(...args: Parameters<MemoryTable["put"]>): number {
    if (this.failure !== undefined) throw this.failure;
    return super.put(...args);
  }
}

/** A server whose alerts look at it each second, by a clock of its own. */
class Watched {
  #now = STARTED_AT;
  readonly table = new StrickenTable();
  readonly context = contextWith({ get, put }, { table: this.table, now: () => this.#now });
  readonly #alerts = new Alerts(this.context);

  get metrics(): Metrics {
    return this.context.metrics;
  }

  /** What is wrong, and for how many seconds after the start it has been. */
  get wrong(): [name: string, since: number][] {
    return this.metrics.alerts.map(({ name, since }) => [name, (since - STARTED_AT) / 1_000]);
  }

  async ask(line: string): Promise<number> {
    return (await answer(Line.of(line), this.context)).code;
  }

  /** Lets so many seconds pass. */
  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.#now += 1_000;
      this.#alerts.look(this.#now - STARTED_AT);
    }
  }
}

Deno.test("a state of the table is on the list for as long as it lasts, and is logged by the table alone", async () => {
  const states: [name: string, said: Record<string, number>][] = [
    ["disk full", { disk_full: 1 }],
    ["engine lost", { engine_reached: 0 }],
    ["engine full", { engine_full: 1 }],
    ["values damaged", { damaged_records: 2 }],
  ];
  for (const [name, said] of states) {
    const watched = new Watched();
    const log = await logOf(() => {
      watched.pass(2);
      assertEquals(watched.wrong, []);
      watched.table.said = said;
      watched.pass(100);
      assertEquals(watched.wrong, [[name, 3]]);
      watched.table.said = {};
      watched.pass(1);
      assertEquals(watched.wrong, []);
    });
    assertEquals(log, []);
  }
});

/** What can happen again and again, and what the log has of it. */
const FAILURES: readonly {
  name: string;
  fail: (metrics: Metrics) => void;
  log: readonly string[];
}[] = [
  {
    name: "commits failing",
    fail: (metrics) => metrics.countFailedCommit(new Error("the disk failed")),
    log: [
      'warn  Commits fail count=1 last="the disk failed"',
      "info  Commits do not fail any more count=100",
    ],
  },
  {
    name: "commits slow",
    fail: (metrics) => metrics.countCommit(501),
    log: [
      "warn  Commits took longer than 0.5 s: is the disk busy? count=1",
      "info  Commits do not take longer than 0.5 s any more count=100",
    ],
  },
  {
    name: "clients refused",
    fail: (metrics) => metrics.refusals.note("192.0.2.1:1"),
    log: [
      "warn  Clients were refused, because there are too many count=1",
      "info  No more clients are refused count=100",
    ],
  },
  { name: "descriptors short", fail: (metrics) => metrics.acceptFailures++, log: [] },
];

for (const { name, fail, log: expected } of FAILURES) {
  Deno.test(`${name}: a line when it begins and one when it ends, however often it happens`, async () => {
    const watched = new Watched();
    const log = await logOf(() => {
      watched.metrics.countCommit(499);
      watched.pass(10);
      assertEquals(watched.wrong, []);
      for (let i = 0; i < 100; i++) {
        fail(watched.metrics);
        watched.pass(1 + i % 60);
        assertEquals(watched.wrong, [[name, 11]], `after ${i}`);
      }
      watched.pass(60);
      assertEquals(watched.wrong, []);
      watched.pass(100);
    });
    assertEquals(withoutHosts(log), expected);
  });
}

/** The events of a log, without the lines that name hosts. */
function withoutHosts(log: readonly string[]): string[] {
  return log.map(eventOf).filter((event) => !event.includes("A client was refused"));
}

Deno.test("what failed before, and is over, begins again with a line and a time of its own", async () => {
  const watched = new Watched();
  const log = await logOf(() => {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5; i++) watched.metrics.refusals.note("192.0.2.1:1");
      watched.pass(100);
    }
    for (let i = 0; i < 5; i++) watched.metrics.refusals.note("192.0.2.1:1");
    watched.pass(1);
    assertEquals(watched.wrong, [["clients refused", 201]]);
  });
  const [begins, ends] = [
    "warn  Clients were refused, because there are too many",
    "info  No more clients are refused",
  ];
  assertEquals(withoutHosts(log), [
    ...[`${begins} count=5`, `${ends} count=5`],
    ...[`${begins} count=5`, `${ends} count=5`, `${begins} count=5`],
  ]);
});

Deno.test("requests that are answered 500 are told with why, those of a failed commit among them", async () => {
  const watched = new Watched();
  const log = await logOf(async () => {
    watched.table.failure = new TableError("the value can't be stored");
    for (let i = 0; i < 3; i++) assertEquals(await watched.ask("PUT a 1"), 500);
    assertEquals(await watched.ask("GET a"), 404);
    watched.pass(1);
    assertEquals(watched.wrong, [["requests failing", 1]]);
    watched.metrics.countFailedCommit(new Error("the disk failed"), 7);
    watched.pass(1);
    assertEquals(watched.wrong, [["commits failing", 2], ["requests failing", 1]]);
    watched.pass(100);
  });
  assertEquals(log.map(eventOf), [
    `warn  Requests are answered 500 count=3 last="the value can't be stored"`,
    'warn  Commits fail count=1 last="the disk failed"',
    "info  Commits do not fail any more count=1",
    "info  Requests are not answered 500 any more count=10",
  ]);
});

Deno.test("what a state explains is on the list and not in the log, until there is another reason", async () => {
  const watched = new Watched();
  const log = await logOf(async () => {
    watched.table.said = { disk_full: 1 };
    watched.table.failure = new TableError("disk full");
    await watched.ask("PUT a 1");
    watched.pass(100);
    await watched.ask("PUT a 1");
    watched.pass(1);
    assertEquals(watched.wrong, [["disk full", 1], ["requests failing", 101]]);
    watched.table.said = { damaged_records: 1 };
    watched.pass(10);
    watched.table.failure = new TableError("something else");
    await watched.ask("PUT a 1");
    watched.pass(100);
  });
  assertEquals(log.map(eventOf), [
    'warn  Requests are answered 500 count=1 last="something else"',
    "info  Requests are not answered 500 any more count=2",
  ]);
});

Deno.test("memory is full while it refuses changes, and for a minute after", async () => {
  const watched = new Watched();
  await logOf(async () => {
    watched.table.failure = new MemoryFullError();
    assertEquals(await watched.ask("PUT a 1"), 500);
    watched.pass(60);
    assertEquals(watched.wrong, [["memory full", 1], ["requests failing", 1]]);
    watched.pass(1);
    assertEquals(watched.wrong, []);
  });
});

Deno.test("a start with too few descriptors is told until the next one", () => {
  const watched = new Watched();
  const descriptors = { clients: 10, used: 20, max: 60, areShort: true };
  watched.metrics.descriptors = descriptors;
  watched.pass(1_000);
  assertEquals(watched.wrong, [["descriptors short", 1]]);
  watched.metrics.descriptors = { ...descriptors, areShort: false };
  watched.pass(1);
  assertEquals(watched.wrong, []);
});

Deno.test("wrong passwords and clients that took too long are told by host, and of few hosts by name", async () => {
  const watched = new Watched();
  const { metrics } = watched;
  const log = await logOf(() => {
    metrics.wrongPasswords.note("192.0.2.1:1");
    watched.pass(1);
    for (let i = 0; i < 100_000; i++) metrics.wrongPasswords.note(`192.0.2.2:${i}`);
    metrics.timeouts.note("[2001:db8::1]:7");
    metrics.timeouts.note(undefined);
    watched.pass(40);
    for (let i = 0; i < 100; i++) metrics.wrongPasswords.note(`198.51.100.${i}:1`);
    watched.pass(1);
  });
  const hosts = Array.from({ length: 16 }, (_, i) => `from=198.51.100.${i} count=1`);
  assertEquals(log.map(eventOf), [
    "warn  A wrong password was given from=192.0.2.1 count=1",
    "warn  A client was closed, because it took too long from=[2001:db8::1] count=1",
    "warn  A client was closed, because it took too long from=others count=1",
    "warn  A wrong password was given from=192.0.2.2 count=100000",
    ...[...hosts, "from=others count=84"].map((rest) => `warn  A wrong password was given ${rest}`),
  ]);
  assertEquals(watched.wrong, []);
});
