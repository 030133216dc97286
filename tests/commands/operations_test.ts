/**
 * What the operations promise, over every table: ends of keys by a clock of ours, paging, counters,
 * versions. Then over sockets, what fifty clients at once may rely on.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { GateContext } from "../../server/dispatch/gate.ts";
import { answer as answerLine } from "../../server/dispatch/gate.ts";
import type { Reply } from "../../server/reply.ts";
import { Line } from "../../server/input/line.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import type { Table } from "../../tables/table.ts";
import {
  type Client,
  contextOver,
  ServerProcess,
  tempFolder,
  testWith,
} from "../support/harness.ts";

/** What it takes to start a server. */
const SERVER = ["net", "read", "write", "run", "env"] as const;
/** When the clock begins, in milliseconds since 1970. */
const BEGIN = 1_700_000_000_000;
const CLIENTS = 50;
const KEYS_BY_PAGES = 2_500;

/** Small segments of the log, so that a part of what a test stores is moved to rows. */
const SEGMENT_BYTES = 65_536;

/** How the requests of a test meet the table. A difference between these is a flaw of a table. */
const WAYS = {
  "in memory": { folder: false, between: () => {} },
  "on disk, all in one turn": { folder: true, between: () => {} },
  "on disk, a turn each": { folder: true, between: (desk: Desk) => void desk.table.commit() },
  "on disk, a restart behind each": { folder: true, between: (desk: Desk) => desk.restart() },
} as const;

/** The operations over one table, without a connection. */
class Desk {
  table: Table;
  now = BEGIN;
  readonly folder: string | undefined;
  readonly #context: GateContext;
  readonly #between: (desk: Desk) => void;

  constructor(way: keyof typeof WAYS, context: GateContext) {
    this.folder = WAYS[way].folder ? tempFolder() : undefined;
    this.table = this.#open();
    this.#between = WAYS[way].between;
    this.#context = { ...context, now: () => this.now };
  }

  /** The reply to a line, its own lines joined by LF. */
  async ask(line: string): Promise<string> {
    const reply = await this.look(line);
    this.#between(this);
    return reply;
  }

  /** The same, with nothing behind it. */
  async look(line: string): Promise<string> {
    const { wire } = await answer(line, { ...this.#context, table: this.table });
    return wire.slice(0, -2).replaceAll("\r\n", "\n");
  }

  /** Asks each line and checks its reply. */
  async holds(...talk: [line: string, reply: string][]): Promise<void> {
    for (const [line, reply] of talk) assertEquals(await this.ask(line), reply, line);
  }

  /** Lets time go by. */
  wait(seconds: number): void {
    this.now += seconds * 1_000;
  }

  /** Closes the table, and opens it again where it is on disk. */
  restart(): void {
    if (this.folder === undefined) return;
    this.table.commit();
    this.#closeTable();
    this.table = this.#open();
  }

  close(): void {
    this.#closeTable();
    if (this.folder !== undefined) Deno.removeSync(this.folder, { recursive: true });
  }

  /** Once only: an open that failed would otherwise hide behind the error of a second close. */
  #closeTable(): void {
    const { table } = this;
    this.table = new MemoryTable();
    table.close();
  }

  #open(): Table {
    const now = () => this.now;
    if (this.folder === undefined) return new MemoryTable(now);
    return new DurableTable(this.folder, {
      cacheBytes: 1_048_576,
      segmentBytes: SEGMENT_BYTES,
      now,
    });
  }
}

/** Defines a test over every table, in every way. */
function testOperations(name: string, fn: (desk: Desk) => Promise<void>): void {
  for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
    testWith(["read", "write"], `${name} (${way})`, async () => {
      const desk = new Desk(way, await contextOver());
      try {
        await fn(desk);
      } finally {
        desk.close();
      }
    });
  }
}

testOperations("a key ends at its millisecond, and TTL counts down to it", async (desk) => {
  await desk.holds(["PUT a 1", "200 OK"], ["EXPIRE a 60", "200 OK"], ["TTL a", "200 OK 60"]);
  desk.wait(59.5);
  await desk.holds(["TTL a", "200 OK 0.5"], ["GET a", "200 OK 1"]);
  desk.wait(0.499);
  await desk.holds(["TTL a", "200 OK 0.001"], ["GET a", "200 OK 1"]);
  desk.wait(0.001);
  await desk.holds(["TTL a", "404 NOT FOUND"], ["GET a", "404 NOT FOUND"]);
});

testOperations("an ended key is absent for every operation", async (desk) => {
  const keys = ["get", "gets", "ttl", "persist", "expire", "cas", "delete", "add", "incr", "put"];
  for (const key of keys) {
    await desk.holds([`PUT ${key} 7`, "200 OK"], [`EXPIRE ${key} 1`, "200 OK"]);
  }
  await desk.holds(["COUNT", "200 OK 10"]);
  desk.wait(1);
  await desk.holds(
    ["COUNT", "200 OK 0"],
    ["KEYS", "200 OK 0"],
    ["GET get", "404 NOT FOUND"],
    ["GETS gets", "404 NOT FOUND"],
    ["TTL ttl", "404 NOT FOUND"],
    ["PERSIST persist", "404 NOT FOUND"],
    ["EXPIRE expire 60", "404 NOT FOUND"],
    ["CAS cas 1 x", "404 NOT FOUND"],
    ["DELETE delete", "200 OK"],
    ["COUNT", "200 OK 0"],
    ["ADD add new", "200 OK"],
    ["INCR incr", "200 OK 1"],
    ["PUT put new", "200 OK"],
    ["COUNT", "200 OK 3"],
    ["KEYS", "200-add\n200-incr\n200-put\n200 OK 3"],
  );
  for (const key of ["add", "incr", "put"]) await desk.holds([`TTL ${key}`, "200 OK none"]);
});

testOperations(
  "EXPIRE sets the end anew, sooner or later, and PERSIST takes it off",
  async (desk) => {
    await desk.holds(["PUT a 1", "200 OK"], ["EXPIRE a 10", "200 OK"], ["EXPIRE a 100", "200 OK"]);
    desk.wait(50);
    await desk.holds(["GET a", "200 OK 1"], ["EXPIRE a 2", "200 OK"], ["TTL a", "200 OK 2"]);
    await desk.holds(["PERSIST a", "200 OK"], ["TTL a", "200 OK none"]);
    desk.wait(1e9);
    await desk.holds(["GET a", "200 OK 1"], ["COUNT", "200 OK 1"]);
  },
);

testOperations("EXPIRE takes fractions of a second, and any number of years", async (desk) => {
  await desk.holds(["PUT a 1", "200 OK"], ["EXPIRE a 0.001", "200 OK"], ["TTL a", "200 OK 0.001"]);
  await desk.holds(["EXPIRE a 1.5004", "200 OK"], ["TTL a", "200 OK 1.5"]);
  await desk.holds(["EXPIRE a 007", "200 OK"], ["TTL a", "200 OK 7"]);
  await desk.holds(["EXPIRE a 999999999999", "200 OK"], ["TTL a", "200 OK 999999999999"]);
  desk.wait(1e10);
  await desk.holds(["GET a", "200 OK 1"]);
});

testOperations("PUT takes an end off; INCR, CAS and a failed ADD keep it", async (desk) => {
  for (const key of ["put", "incr", "cas", "add"]) {
    await desk.holds([`PUT ${key} 1`, "200 OK"], [`EXPIRE ${key} 60`, "200 OK"]);
  }
  await desk.holds(["PUT put 2", "200 OK"], ["INCR incr", "200 OK 2"]);
  await desk.holds(["ADD add 2", "409 CONFLICT the key has a value"]);
  assertMatch(await desk.ask(`CAS cas ${await versionOf(desk, "cas")} 2`), /^200 OK \d+$/);
  await desk.holds(["TTL put", "200 OK none"]);
  for (const key of ["incr", "cas", "add"]) await desk.holds([`TTL ${key}`, "200 OK 60"]);
  desk.wait(60);
  await desk.holds(["KEYS", "200-put\n200 OK 1"]);
});

testOperations(
  "a key that was removed and stored again does not end with the old one",
  async (desk) => {
    await desk.holds(["PUT a 1", "200 OK"], ["EXPIRE a 60", "200 OK"], ["DELETE a", "200 OK"]);
    await desk.holds(["ADD a 2", "200 OK"], ["PUT b 1", "200 OK"], ["EXPIRE b 60", "200 OK"]);
    await desk.holds(["CLEAR", "200 OK"], ["PUT b 2", "200 OK"], ["PUT a 2", "200 OK"]);
    desk.wait(100);
    await desk.holds(["GET a", "200 OK 2"], ["GET b", "200 OK 2"], ["COUNT", "200 OK 2"]);
  },
);

testOperations("ends are kept over a restart, and pass while no server runs", async (desk) => {
  await desk.holds(["PUT a 1", "200 OK"], ["EXPIRE a 60", "200 OK"]);
  await desk.holds(["PUT b 1", "200 OK"], ["EXPIRE b 10", "200 OK"], ["PUT c 1", "200 OK"]);
  desk.wait(5);
  desk.restart();
  await desk.holds(["TTL a", "200 OK 55"], ["TTL b", "200 OK 5"], ["TTL c", "200 OK none"]);
  desk.wait(5);
  desk.restart();
  await desk.holds(["GET b", "404 NOT FOUND"], ["KEYS", "200-a\n200-c\n200 OK 2"]);
});

testOperations("ended keys are removed in steps, of which clients see nothing", async (desk) => {
  const end = { expiresAt: BEGIN + 1_000 };
  for (let i = 0; i < 3_000; i++) desk.table.put(`k${i}`, "1", i % 3 === 0 ? undefined : end);
  desk.table.commit();
  desk.restart();
  await desk.holds(["COUNT", "200 OK 3000"]);
  desk.wait(1);
  await desk.holds(["COUNT", "200 OK 1000"]);
  let steps = 1;
  while (desk.table.maintain()) {
    assert(++steps < 1_000, "it comes to an end");
    // No restart here: what is removed from memory alone comes back by one, out of the log.
    const replies = [
      await desk.look("COUNT"),
      await desk.look("GET k1"),
      await desk.look("GET k3"),
    ];
    assertEquals(replies, ["200 OK 1000", "404 NOT FOUND", "200 OK 1"]);
    desk.table.commit();
  }
  if (desk.folder === undefined) {
    assertEquals(steps, 3, "two of 1,000 keys, and one that finds none");
  }
  desk.restart();
  await desk.holds(["COUNT", "200 OK 1000"], ["ADD k1 2", "200 OK"], ["COUNT", "200 OK 1001"]);
});

testWith(["read"], "TTL is never 0 or less, though time goes on while it is answered", async () => {
  let time = BEGIN;
  const tick = () => time++;
  const context = await contextOver(new MemoryTable(tick), { now: tick });
  for (const seconds of [0.004, 0.005, 0.006, 0.007]) {
    await answer("PUT a 1", context);
    await answer(`EXPIRE a ${seconds}`, context);
    for (let reply = ""; !reply.startsWith("404");) {
      reply = (await answer("TTL a", context)).wire;
      assertMatch(reply, /^(200 OK 0\.00[1-9]|404 NOT FOUND)\r\n$/);
    }
  }
});

testOperations(
  "KEYS gives every key once, page by page, in the order of code points",
  async (desk) => {
    const signs = ["a", "Z", "é", "€", "\uffee", "\u{1f5dd}", "0", "~"];
    const keys = Array.from(
      { length: KEYS_BY_PAGES },
      (_, i) => `k${signs[i % 8]}${(i * 7_919) % 2_503}`,
    );
    for (const key of keys) {
      desk.table.put(key, "1");
    }
    desk.table.put("j", "1");
    desk.table.put("l", "1");
    desk.table.commit();
    const found: string[] = [];
    const ends: string[] = [];
    for (let after = ""; ends.length < 4;) {
      const lines = (await desk.ask(`KEYS k ${after}`)).split("\n");
      const page = lines.slice(0, -1).map((line) => line.replace(/^200-/, ""));
      found.push(...page);
      ends.push(lines.at(-1)!);
      if (!lines.at(-1)!.endsWith("more")) break;
      after = page.at(-1)!;
    }
    assertEquals(ends, ["200 OK 1000 more", "200 OK 1000 more", "200 OK 500"]);
    assertEquals(found, keys.toSorted(compareBytes));
  },
);

testOperations("KEYS says that there is more only where there is", async (desk) => {
  for (let i = 0; i < 1_000; i++) desk.table.put(`k${i}`, "1");
  assertMatch(await desk.ask("KEYS"), /\n200 OK 1000$/);
  await desk.holds(["PUT k1000 1", "200 OK"]);
  assertMatch(await desk.ask("KEYS"), /\n200 OK 1000 more$/);
  await desk.holds(["EXPIRE k0 1", "200 OK"]);
  desk.wait(1);
  assertMatch(await desk.ask("KEYS"), /\n200 OK 1000$/);
});

testOperations(
  "KEYS goes on behind a key that is no longer there, and sees what is new",
  async (desk) => {
    for (const key of ["a", "b", "d", "e"]) await desk.holds([`PUT x${key} 1`, "200 OK"]);
    await desk.holds(["DELETE xb", "200 OK"], ["PUT xc 1", "200 OK"]);
    await desk.holds(
      ["KEYS x xb", "200-xc\n200-xd\n200-xe\n200 OK 3"],
      ["KEYS x a", "200-xa\n200-xc\n200-xd\n200-xe\n200 OK 4"],
      ["KEYS x y", "200 OK 0"],
      ["KEYS xe xe", "200 OK 0"],
    );
  },
);

testOperations("KEYS takes no sign of a prefix for more than itself", async (desk) => {
  for (const key of ["a%b", "a_b", "axb", "a*b", "A%B", "a"]) {
    await desk.holds([`PUT ${key} 1`, "200 OK"]);
  }
  await desk.holds(
    ["KEYS a%", "200-a%b\n200 OK 1"],
    ["KEYS a_", "200-a_b\n200 OK 1"],
    ["KEYS a*", "200-a*b\n200 OK 1"],
    ["KEYS A", "200-A%B\n200 OK 1"],
    ["KEYS \u{10ffff}", "200 OK 0"],
  );
});

testOperations("INCR holds all 64-bit integers, and goes past neither end", async (desk) => {
  await desk.holds(
    ["INCR a 9223372036854775807", "200 OK 9223372036854775807"],
    ["INCR a", "409 CONFLICT the value would overflow"],
    ["GET a", "200 OK 9223372036854775807"],
    ["INCR a -9223372036854775807", "200 OK 0"],
    ["INCR a -9223372036854775808", "200 OK -9223372036854775808"],
    ["INCR a -1", "409 CONFLICT the value would overflow"],
    ["INCR a 9223372036854775807", "200 OK -1"],
    ["INCR a 1", "200 OK 0"],
    ["INCR a 9007199254740993", "200 OK 9007199254740993"],
  );
});

testOperations(
  "INCR counts on what PUT stored, if that is an integer in decimal digits",
  async (desk) => {
    const integers = [["41", "42"], ["-1", "0"], ["007", "8"], ["-0", "1"], ["0", "1"]] as const;
    for (const [value, next] of integers) {
      await desk.holds([`PUT a ${value}`, "200 OK"], ["INCR a", `200 OK ${next}`]);
    }
    const others = [
      "1.0",
      "1e3",
      "0x10",
      "+1",
      "- 1",
      " 1",
      "1 ",
      "1\t",
      "١",
      "--1",
      "1n",
      "Infinity",
    ];
    for (const value of [...others, "9223372036854775808", "99999999999999999999"]) {
      await desk.holds([`PUT a ${value}`, "200 OK"]);
      await desk.holds(["INCR a", "409 CONFLICT the value is no 64-bit integer"]);
      await desk.holds(["GET a", `200 OK ${value}`]);
    }
  },
);

testOperations("versions grow with every change, and none is given twice", async (desk) => {
  const versions: number[] = [];
  const change = async (line: string, key: string) => {
    assertMatch(await desk.ask(line), /^200 OK/);
    versions.push(await versionOf(desk, key));
  };
  await change("PUT a 1", "a");
  await change("PUT a 1", "a");
  await change("PUT b 1", "b");
  await change("INCR a", "a");
  await desk.ask("DELETE a");
  await change("ADD a 1", "a");
  await desk.ask("CLEAR");
  await change("PUT a 1", "a");
  desk.restart();
  // A table in memory ends with its server; on disk the versions go on.
  await change("PUT c 1", "c");
  await change(`CAS c ${versions.at(-1)} 2`, "c");
  assertEquals(versions, [...new Set(versions)].toSorted((a, b) => a - b));
});

testOperations(
  "a version that was given and removed is not given again by a restart",
  async (desk) => {
    await desk.holds(["PUT a 1", "200 OK"]);
    const version = await versionOf(desk, "a");
    await desk.holds(["DELETE a", "200 OK"]);
    desk.restart();
    await desk.holds(["PUT a 2", "200 OK"]);
    assert(await versionOf(desk, "a") > version);
    await desk.holds([`CAS a ${version} 3`, "409 CONFLICT the key has another version"]);
  },
);

testOperations(
  "the version stays where nothing but the end changes, and others' changes count not",
  async (desk) => {
    await desk.holds(["PUT a 1", "200 OK"]);
    const version = await versionOf(desk, "a");
    await desk.holds(["EXPIRE a 60", "200 OK"], ["PERSIST a", "200 OK"], ["PUT b 1", "200 OK"]);
    await desk.holds(["ADD a 2", "409 CONFLICT the key has a value"], ["GET a", "200 OK 1"]);
    assertEquals(await versionOf(desk, "a"), version);
    const reply = await desk.ask(`CAS a ${version}  two `);
    assertEquals(
      reply,
      `200 OK ${await versionOf(desk, "a")}`,
      "it returns the version that GETS gives",
    );
    await desk.holds(["GET a", "200 OK  two "]);
  },
);

testOperations("COUNT knows what each operation does to the number of keys", async (desk) => {
  const talk: [string, number][] = [
    ...[["PUT a 1", 1], ["PUT a 2", 1], ["ADD a 1", 1], ["ADD b 1", 2], ["INCR c", 3]] as const,
    ...[["INCR c", 3], ["CAS z 1 1", 3], ["DELETE z", 3], ["DELETE a", 2], [
      "EXPIRE b 9",
      2,
    ]] as const,
    ...[["PERSIST b", 2], ["CLEAR", 0], ["CLEAR", 0], ["PUT a 1", 1], ["DELETE a", 0]] as const,
  ].map(([line, count]) => [line, count]);
  for (const [line, count] of talk) {
    await desk.ask(line);
    assertEquals(await desk.ask("COUNT"), `200 OK ${count}`, line);
  }
});

testWith(["read"], "HELP shows each operation once, and each reply of each", async () => {
  const context = await contextOver();
  const lines = (await answer("HELP", context)).wire.split("\r\n").slice(0, -1);
  assertEquals(lines.at(-1), "200 OK");
  const rows = lines.slice(0, -1).map((line) => line.replace(/^200-/, "").split(/ {2,}/));
  const operations = [...context.registry];
  assertEquals(rows, operations.map(({ usage, command }) => [usage, command.summary]));
  for (const { verb, usage, command } of operations) {
    const replies = Object.entries(command.replies).map(([code, when]) => `200-  ${code}: ${when}`);
    const expected = [`200-${usage}`, `200-${command.summary}`, ...replies, "200 OK", ""];
    assertEquals((await answer(`HELP ${verb}`, context)).wire.split("\r\n"), expected);
  }
});

testWith(["read"], "STATS counts requests by operation and code, and tells the time", async () => {
  let now = BEGIN;
  const context = await contextOver(undefined, { now: () => now });
  for (const line of ["PUT a 1", "PUT b 1", "GET a", "GET x", "GET", "SET a", "", "INCR a y"]) {
    await answer(line, context);
  }
  now += 90_000;
  const figures = figuresOf((await answer("STATS", context)).wire.split("\r\n"));
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

testWith(
  SERVER,
  "STATS tells of connections, commits, the disk, the cache and memory",
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
      assertEquals(
        figures[name],
        String(value),
        name,
      );
    }
    for (const name of ["disk_bytes", "commit_duration_seconds_p50", "memory_bytes"]) {
      assert(Number(figures[name]) > 0, `${name} ${figures[name]}`);
    }
    for (const name of ["cache_hits", "cache_misses", "table_bytes", "log_bytes", "rows"]) {
      assertMatch(figures[name] ?? "", /^\d+$/, name);
    }
  },
);

testWith(SERVER, "50 clients that count on one key 1,000 times each come to 50,000", async () => {
  await using server = await ServerProcess.start();
  const highest = await Promise.all(Array.from({ length: CLIENTS }, async () => {
    using client = await server.connect();
    let last = 0;
    for (let round = 0; round < 10; round++) {
      await client.send("INCR counter\r\n".repeat(100));
      for (let i = 0; i < 100; i++) {
        const value = Number(/^200 OK (\d+)$/.exec(await client.line() ?? "")?.[1]);
        assert(value > last, "each client sees it grow");
        last = value;
      }
    }
    return last;
  }));
  using client = await server.connect();
  assertEquals(await client.ask("GET counter"), "200 OK 50000");
  assertEquals(Math.max(...highest), 50_000);
});

testWith(SERVER, "a lock made of ADD, EXPIRE and DELETE holds under 50 clients", async () => {
  await locksOut(async (client, name) => {
    while (await client.ask(`ADD lock ${name}`) !== "200 OK") await pause();
    assertEquals(await client.ask("EXPIRE lock 60"), "200 OK");
  }, (client) => client.ask("DELETE lock"));
});

testWith(SERVER, "a lock made of GETS and CAS holds under 50 clients", async () => {
  await locksOut(
    async (client, name) => {
      for (;;) {
        const [, version, holder] =
          /^200 OK (\d+) (.*)$/.exec(await client.ask("GETS lock") ?? "") ?? [];
        assert(version !== undefined);
        const isFree = holder === "nobody";
        if (isFree && /^200/.test(await client.ask(`CAS lock ${version} ${name}`) ?? "")) return;
        await pause();
      }
    },
    (client) => client.ask("PUT lock nobody"),
    ["PUT lock nobody"],
  );
});

/**
 * Lets each of 50 clients take a lock, read a number, write the next one, and let go, a few times.
 * Where two were in at a time, one of their steps would be lost.
 */
async function locksOut(
  lock: (client: Client, name: string) => Promise<void>,
  unlock: (client: Client) => Promise<string | undefined>,
  before: string[] = [],
): Promise<void> {
  const rounds = 4;
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using first = await server.connect();
  for (const line of ["PUT number 0", ...before]) assertEquals(await first.ask(line), "200 OK");
  await Promise.all(Array.from({ length: CLIENTS }, async (_, c) => {
    using client = await server.connect();
    for (let round = 0; round < rounds; round++) {
      await lock(client, `client${c}`);
      const number = Number((await client.ask("GET number"))?.slice("200 OK ".length));
      assertEquals(await client.ask(`PUT number ${number + 1}`), "200 OK");
      assertEquals(await unlock(client), "200 OK");
    }
  }));
  assertEquals(await first.ask("GET number"), `200 OK ${CLIENTS * rounds}`);
}

/** A moment before the next try, not the same for all. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1 + 20 * Math.random()));
}

function answer(line: string, context: GateContext): Reply | Promise<Reply> {
  return answerLine(Line.of(line), context);
}

async function versionOf(desk: Desk, key: string): Promise<number> {
  return Number(/^200 OK (\d+) /.exec(await desk.ask(`GETS ${key}`))?.[1]);
}

/** The figures of a reply to STATS, by name. */
function figuresOf(lines: string[]): Record<string, string> {
  const pairs = lines.filter((line) => line.startsWith("200-")).map((line) => {
    const [, name, value] = /^200-(\S+) (.*)$/.exec(line)!;
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

/** Compares as UTF-8, which has the order of code points. */
function compareBytes(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => new TextEncoder().encode(text));
  const at = x!.findIndex((byte, i) => byte !== y![i]);
  return at < 0 ? x!.length - y!.length : x![at]! - (y![at] ?? -1);
}
