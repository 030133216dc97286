/**
 * The turn: one commit for all requests of a turn, their replies after it, and what happens where the
 * commit fails.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { refused } from "../../../server/dispatch/request.ts";
import type { Lines } from "../../../server/input/lines.ts";
import { linesIn } from "../../support/line_cuts.ts";
import { Registry } from "../../../server/dispatch/registry.ts";
import { failedRequests } from "../../../server/observe/stats.ts";
import { Metrics } from "../../../server/observe/metrics.ts";
import { okay } from "../../../server/reply.ts";
import { Turn, type TurnSession } from "../../../server/turn/turn.ts";
import { STOPPED } from "../../support/clock.ts";
import {
  DISK_FAILED,
  diskFailure,
  FakeTable,
  logOf,
  MemoryServer,
} from "../../support/memory_server.ts";
import { eventOf } from "../../support/harness.ts";
import { settled } from "../../support/memory_socket.ts";

/** A turn over a fake table, and what it does, in order. */
function makeTurn() {
  const table = new FakeTable();
  const metrics = new Metrics({ version: "0.0.0", startedAt: 0 });
  const done: unknown[] = [];
  table.onCommit = () => done.push("commit");
  const turn = new Turn({ table, metrics, onFatal: (error) => done.push(error), time: STOPPED });
  /** Submits a line of a session; `done` gets its name at its release, and the failure if there is one. */
  const join = (name: string, then = () => {}) => {
    const session: TurnSession = {
      prepare: (line) => refused(line, okay),
      answer: () => "goes on",
      noteSlow() {},
      release(_rest, failure) {
        done.push(failure === undefined ? name : `${name}: ${failure.wire}`);
        then();
      },
    };
    return turn.submit(session, lineOf("LINE"));
  };
  return { table, metrics, turn, done, join };
}

/** A line, as a connection submits it. */
function lineOf(text: string): Lines {
  return linesIn(`${text}\n`);
}

Deno.test(
  "a turn commits once for all its sessions, and then their replies leave",
  async () => {
    const { done, join } = makeTurn();
    for (const name of ["a", "b", "c"]) join(name);
    assertEquals(done, [], "nothing leaves before the turn ends");
    await settled();
    assertEquals(done, ["commit", "a", "b", "c"]);
  },
);

Deno.test("a turn is over before the event loop goes on", async () => {
  const { done, join } = makeTurn();
  let isLater = false;
  const later = new Promise<void>((resolve) =>
    setImmediate(() => {
      isLater = true;
      resolve();
    })
  );
  await join("a");
  assertEquals([done, isLater], [["commit", "a"], false]);
  await later;
});

Deno.test("a session that submits while replies leave is in the next turn", async () => {
  const { done, join } = makeTurn();
  join("a", () => void join("late"));
  join("b");
  await settled();
  assertEquals(done, ["commit", "a", "b", "commit", "late"]);
});

Deno.test(
  "a failed commit answers every session of its turn, and no later one",
  async () => {
    const { table, metrics, done, join } = makeTurn();
    const log = await logOf(async () => {
      table.failure = diskFailure();
      join("a");
      join("b");
      await settled();
    });
    table.failure = undefined;
    join("c");
    await settled();
    assertEquals(done, ["commit", `a: ${DISK_FAILED}`, `b: ${DISK_FAILED}`, "commit", "c"]);
    assertEquals(log.length, 1);
    assert(eventOf(log[0]!).startsWith("error Cannot commit: Error: the disk failed"), log[0]);
    assertEquals([metrics.commitsFailed, metrics.repliesReplaced], [1, 2]);
    assertEquals(failedRequests({ metrics, registry: new Registry([]) }), 2);
  },
);

Deno.test(
  "a commit that fails for good ends the server, after the replies",
  async () => {
    const { table, done, join } = makeTurn();
    table.failure = diskFailure({ fatal: true });
    await logOf(async () => {
      join("a");
      await settled();
    });
    assertEquals(done, ["commit", `a: ${DISK_FAILED}`, table.failure]);
  },
);

Deno.test("a bug in a commit costs its turn alone, and the server goes on", async () => {
  const { table, done, join } = makeTurn();
  table.failure = new TypeError("x is not a function");
  const log = await logOf(async () => {
    join("a");
    await join("b");
  });
  table.failure = undefined;
  await join("c");
  const failed = "500 ERROR internal error\r\n";
  assertEquals(done, ["commit", `a: ${failed}`, `b: ${failed}`, "commit", "c"]);
  assert(log[0]!.includes("x is not a function"), log[0]);
});

Deno.test("only commits that wrote something are counted", async () => {
  const { table, metrics, join } = makeTurn();
  join("a");
  await settled();
  assertEquals(metrics.commitSeconds.count, 0);
  table.put("a", "1");
  join("a");
  await settled();
  assertEquals(metrics.commitSeconds.count, 1);
  const { sum, max } = metrics.commitSeconds;
  assert(max >= 0 && sum >= max);
});

Deno.test("requests of many connections in one turn share one commit", async () => {
  const server = new MemoryServer();
  const clients = Array.from({ length: 5 }, () => server.connect());
  let sentBefore = 0;
  server.table.onCommit = () => clients.forEach(({ socket }) => sentBefore += socket.writes.length);
  clients.forEach(({ socket }, i) => socket.send(`PUT ${i} a\nGET ${i}\nPUT ${i} b\n`));
  await settled();
  assertEquals([server.table.commits, sentBefore], [1, 0], "commits, and writes before them");
  for (const { socket, served } of clients) {
    assertEquals(socket.take(), "200 OK\r\n200 OK a\r\n200 OK\r\n");
    assertEquals(socket.writes.length, 1, "one write");
    socket.finish();
    await served;
  }
});

Deno.test(
  "each request of a turn whose commit fails is 500, and none of its changes stays",
  async () => {
    const server = new MemoryServer();
    const clients = [server.connect(), server.connect()];
    clients[0]!.socket.send("PUT kept 1\n");
    await settled();
    assertEquals(clients[0]!.socket.take(), "200 OK\r\n");
    server.table.failure = diskFailure();
    await logOf(async () => {
      // A write, a read, a reply of several lines, an unknown verb, and a line that is no request.
      clients[0]!.socket.send("PUT kept 2\nGET kept\nKEYS\nNOSUCH\n\n");
      clients[1]!.socket.send("CLEAR\nPUT new 1\n");
      await settled();
    });
    assertEquals(clients[0]!.socket.take(), DISK_FAILED.repeat(5));
    assertEquals(clients[1]!.socket.take(), DISK_FAILED.repeat(2));
    server.table.failure = undefined;
    clients[1]!.socket.send("GET kept\nGET new\nCOUNT\n");
    await settled();
    assertEquals(clients[1]!.socket.take(), "200 OK 1\r\n404 NOT FOUND\r\n200 OK 1\r\n");
    for (const { socket, served } of clients) {
      socket.finish();
      await served;
    }
  },
);

Deno.test("who asks for a value that is on the disk waits for it, and nobody else does", async () => {
  const server = new MemoryServer();
  for (const key of ["cold", "hot"]) server.table.put(key, "value");
  server.table.commit();
  const read = Promise.withResolvers<void>();
  server.table.readOf = (key) => key === "cold" ? read.promise : undefined;
  const [waiting, other] = [server.connect(), server.connect()];
  waiting.socket.send("GET hot\nGET cold\nGET hot\n");
  other.socket.send("GET hot\n");
  await settled();
  assertEquals(waiting.socket.take(), "200 OK value\r\n", "what comes before it is answered");
  assertEquals(other.socket.take(), "200 OK value\r\n");
  other.socket.send("PUT hot other\n");
  await settled();
  assertEquals([waiting.socket.take(), other.socket.take()], ["", "200 OK\r\n"]);
  // Also where it is not in memory afterwards, because it had to go again: then the handler reads it.
  read.resolve();
  await settled();
  assertEquals(waiting.socket.take(), "200 OK value\r\n200 OK other\r\n");
  waiting.socket.send("GET cold\n");
  waiting.socket.finish();
  await waiting.served;
  assertEquals(waiting.socket.take(), "200 OK value\r\n");
  other.socket.finish();
  await other.served;
});

Deno.test("a client waits once for all the values that it asks for", async () => {
  const server = new MemoryServer();
  for (const key of ["a", "b", "c"]) server.table.put(key, `value of ${key}`);
  server.table.commit();
  const reads = new Map([["b", Promise.withResolvers<void>()], [
    "c",
    Promise.withResolvers<void>(),
  ]]);
  server.table.readOf = (key) => reads.get(key)?.promise;
  const { socket, served } = server.connect();
  socket.send("GET a\nGET b\nGET a\nGET c\nGET a\n");
  await settled();
  assertEquals([socket.take(), server.table.commits], ["200 OK value of a\r\n", 2]);
  reads.get("b")!.resolve();
  await settled();
  assertEquals(
    [socket.take(), server.table.commits],
    ["", 2],
    "nothing is done for only one of them",
  );
  reads.get("c")!.resolve();
  reads.clear();
  await settled();
  const values = ["b", "a", "c", "a"].map((key) => `200 OK value of ${key}\r\n`).join("");
  assertEquals([socket.take(), server.table.commits], [values, 3]);
  socket.finish();
  await served;
});
