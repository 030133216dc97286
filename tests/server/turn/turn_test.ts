/**
 * The turn, and how a connection takes part in it: one commit for all requests of a turn, their
 * replies after it, and what happens where it fails. Then clients and handlers at their worst. The
 * table is a fake one, the sockets have no network.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { assert, assertEquals } from "@std/assert";
import type { Command, Context } from "../../../server/command.ts";
import type { GateContext } from "../../../server/dispatch/gate.ts";
import { Connection, type Limits } from "../../../server/connections/connection.ts";
import { Metrics } from "../../../server/metrics.ts";
import { LineReader, type Lines } from "../../../server/input/lines.ts";
import { loadCommands, Registry } from "../../../server/dispatch/registry.ts";
import { busy, final, ok, okay } from "../../../server/reply.ts";
import { type Member, Turn } from "../../../server/turn/turn.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { type Entry, TableError } from "../../../tables/table.ts";
import type { Text, TextLike } from "../../../tables/text.ts";
import { contextOver, eventOf, ROOT, testWith } from "../../support/harness.ts";
import { MemorySocket, runClock, settled, until } from "../../support/memory_socket.ts";

const utf8 = new TextEncoder();

const DISK_FAILED = "500 ERROR the disk failed\r\n";

/**
 * A table in memory that tells of its commits, fails them where it is told to, and counts reads.
 */
class FakeTable extends MemoryTable {
  commits = 0;
  reads = 0;
  onCommit = () => {};
  failure: Error | undefined;

  override get(key: TextLike): Text | undefined {
    this.reads++;
    return super.get(key);
  }

  override entry(key: TextLike): Entry | undefined {
    this.reads++;
    return super.entry(key);
  }

  override commit(): boolean {
    this.commits++;
    this.onCommit();
    if (this.failure === undefined) return super.commit();
    this.undo(0);
    throw this.failure;
  }
}

/** A turn over a fake table, and what it does, in its order. */
function makeTurn() {
  const table = new FakeTable();
  const metrics = new Metrics({ version: "0.0.0", startedAt: 0 });
  const done: unknown[] = [];
  table.onCommit = () => done.push("commit");
  const turn = new Turn({ table, metrics, onFatal: (error) => done.push(error) });
  /** Submits a line of a member; its release is told by its name, and by the reply that takes all places. */
  const join = (name: string, then = () => {}) => {
    const member: Member = {
      answer: () => true,
      release(failure) {
        done.push(failure === undefined ? name : `${name}: ${failure.wire}`);
        then();
      },
    };
    return turn.submit(member, linesOf("LINE\n"));
  };
  return { table, metrics, turn, done, join };
}

/** Whole lines, as a connection submits them. */
function linesOf(packet: string | Uint8Array<ArrayBuffer>, lineBytesMax = 1_048_576): Lines {
  const bytes = typeof packet === "string" ? utf8.encode(packet) : packet;
  return new LineReader({ lineBytesMax }).take(bytes)!;
}

/** A member that notes its lines, and takes so many at a time. */
function makeTaker(atATime = Infinity): { member: Member; taken: string[] } {
  const taken: string[] = [];
  let left = atATime;
  const member: Member = {
    answer(line) {
      assertEquals(String(line.bytes), line.text, "the bytes are those of the text");
      taken.push(line.fault === undefined ? line.text : `${line.fault}!`);
      return --left > 0;
    },
    release() {
      left = atATime;
    },
  };
  return { member, taken };
}

/** Submits lines until all are taken, as a connection does; returns how often that was. */
async function submitAll(turn: Turn, member: Member, lines: Lines): Promise<number> {
  let count = 1;
  for (let rest = await turn.submit(member, lines); rest !== undefined; count++) {
    rest = await turn.submit(member, rest);
  }
  return count;
}

/** A server without a network, over the real commands and these. */
async function makeServer(
  limits: Partial<Limits> = {},
  commands: Record<string, Command> = {},
) {
  const table = new FakeTable();
  const all = [...await loadCommands(new URL("commands/", ROOT)), ...Object.entries(commands)];
  const services: GateContext = {
    ...await contextOver(table),
    registry: new Registry(all as [string, unknown][]),
  };
  const turn = new Turn({ table, metrics: services.metrics, onFatal: () => {} });
  const options = {
    services,
    turn,
    limits: { lineBytesMax: 1_048_576, idleTimeout: 0, writeTimeout: 60, ...limits },
  };
  const connect = () => {
    const socket = new MemorySocket();
    const connection = new Connection(socket, options);
    return { socket, connection, served: connection.serve() };
  };
  return { table, connect, options };
}

/** Runs what logs errors; returns what it logged, a text for each. */
async function logOf(run: () => Promise<void>): Promise<string[]> {
  const original = console.error;
  const log: string[] = [];
  console.error = (...parts) => log.push(parts.map(String).join(" "));
  try {
    await run();
  } finally {
    console.error = original;
  }
  return log;
}

Deno.test("a turn commits once for all that are in it, and then their replies leave", async () => {
  const { done, join } = makeTurn();
  for (const name of ["a", "b", "c"]) join(name);
  assertEquals(done, [], "nothing leaves before the turn ends");
  await settled();
  assertEquals(done, ["commit", "a", "b", "c"]);
});

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

Deno.test("who submits while replies leave is in the next turn", async () => {
  const { done, join } = makeTurn();
  join("a", () => void join("late"));
  join("b");
  await settled();
  assertEquals(done, ["commit", "a", "b", "commit", "late"]);
});

Deno.test("a commit that fails is told to all that are in its turn, and to none later", async () => {
  const { table, done, join } = makeTurn();
  const log = await logOf(async () => {
    table.failure = new TableError("the disk failed");
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
});

Deno.test("a commit that fails for good ends the server, behind the replies", async () => {
  const { table, done, join } = makeTurn();
  table.failure = new TableError("the disk failed", { fatal: true });
  await logOf(async () => {
    join("a");
    await settled();
  });
  assertEquals(done, ["commit", `a: ${DISK_FAILED}`, table.failure]);
});

Deno.test("an error of ours in a commit is told to its turn alone, and the server goes on", async () => {
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

Deno.test("members that submit at once each get their own lines, in order", async () => {
  const { turn } = makeTurn();
  const takers = Array.from({ length: 200 }, () => makeTaker());
  const long = "x".repeat(20_000);
  const signs = ["", "é", "\ufeff", "\u{1f5dd}"];
  for (let round = 0; round < 3; round++) {
    const expected = takers.map((_, i) => {
      const sign = signs[(i + round) % 4];
      const lines = Array.from({ length: (i + round) % 5 }, (_, j) => `${sign}${round} ${i} ${j}`);
      if (i % 7 === 0) lines.push(`${long}${i}`); // A few of them are more than a chunk.
      if (i % 50 === 0) lines.push(long.repeat(3));
      return [...lines, ""];
    });
    await Promise.all(expected.map(async (lines, i) => {
      const end = i % 2 === 0 ? "\n" : "\r\n";
      const { member } = takers[i]!;
      const packet = lines.map((line) => `${line}${end}`).join("");
      assertEquals(await turn.submit(member, linesOf(packet)), undefined);
      await turn.submit(member, linesOf("more\n")); // while others still wait
    }));
    const found = takers.map(({ taken }) => taken.splice(0));
    assertEquals(found, expected.map((lines) => [...lines, "more"]));
  }
});

Deno.test("members with much to split leave moments for others", async () => {
  using _clock = runClock();
  const { turn } = makeTurn();
  const packet = new Uint8Array(65_536).fill(0x0a);
  let moments = 0;
  const timer = setInterval(() => moments++, 0);
  const takers = Array.from({ length: 6 }, () => makeTaker());
  await Promise.all(takers.map(({ member }) => submitAll(turn, member, linesOf(packet))));
  clearInterval(timer);
  assert(moments > 0, "timers have run meanwhile");
  for (const { taken } of takers) assertEquals(taken.length, packet.length);
});

Deno.test("a member that takes no more gets its rest back, and the others all of theirs", async () => {
  const { turn } = makeTurn();
  const [slow, other] = [makeTaker(3), makeTaker()];
  const names = Array.from({ length: 10 }, (_, i) => `é ${i}`);
  const packet = names.map((name, i) => `${name}${i % 2 === 0 ? "\n" : "\r\n"}`).join("");
  const [rest, none] = await Promise.all([
    turn.submit(slow.member, linesOf(packet)),
    turn.submit(other.member, linesOf(packet)),
  ]);
  assertEquals(slow.taken, names.slice(0, 3));
  assertEquals([other.taken, none], [names, undefined]);
  assertEquals(rest!.count, 7);
  await submitAll(turn, slow.member, rest!);
  assertEquals(slow.taken, names);
});

Deno.test("a member that stops at its last line has no rest", async () => {
  const { turn } = makeTurn();
  const { member, taken } = makeTaker(2);
  assertEquals(await turn.submit(member, linesOf("a\nb\n")), undefined);
  assertEquals(taken, ["a", "b"]);
});

Deno.test("a rest does not lie in the packet, nor in what others have sent", async () => {
  const { turn } = makeTurn();
  const { member, taken } = makeTaker(1);
  const packet = utf8.encode("a\nbé\nc\n");
  const rest = await turn.submit(member, linesOf(packet));
  packet.fill(0x78);
  await turn.submit(makeTaker().member, linesOf("xxxxxxxxxx\n"));
  await submitAll(turn, member, rest!);
  assertEquals(taken, ["a", "bé", "c"]);
});

Deno.test("faults keep their places in a rest that is submitted again", async () => {
  const bad = [0xc3, 0x0a];
  const long = utf8.encode("123456789\r\n");
  const packet = Uint8Array.from([
    ...utf8.encode("a\r\n"),
    ...bad,
    ...long,
    0x0a,
    ...bad,
    0x62,
    0x0a,
  ]);
  const expected = ["a", "not UTF-8!", "too long!", "", "not UTF-8!", "b"];
  for (let atATime = 1; atATime <= expected.length; atATime++) {
    const { turn } = makeTurn();
    const { member, taken } = makeTaker(atATime);
    const turns = await submitAll(turn, member, linesOf(packet, 8));
    assertEquals([taken, turns], [expected, Math.ceil(expected.length / atATime)]);
  }
});

testWith(["read"], "requests of many connections in one turn share one commit", async () => {
  const { table, connect } = await makeServer();
  const clients = Array.from({ length: 5 }, connect);
  let sentBefore = 0;
  table.onCommit = () => clients.forEach(({ socket }) => sentBefore += socket.writes.length);
  clients.forEach(({ socket }, i) => socket.send(`PUT ${i} a\nGET ${i}\nPUT ${i} b\n`));
  await settled();
  assertEquals([table.commits, sentBefore], [1, 0], "commits, and writes before them");
  for (const { socket, served } of clients) {
    assertEquals(socket.take(), "200 OK\r\n200 OK a\r\n200 OK\r\n");
    assertEquals(socket.writes.length, 1, "one write");
    socket.finish();
    await served;
  }
});

testWith(
  ["read"],
  "each request of a turn whose commit fails is 500, and nothing of it stays",
  async () => {
    const { table, connect } = await makeServer();
    const clients = [connect(), connect()];
    clients[0]!.socket.send("PUT kept 1\n");
    await settled();
    assertEquals(clients[0]!.socket.take(), "200 OK\r\n");
    table.failure = new TableError("the disk failed");
    await logOf(async () => {
      // A write, a read, a reply of several lines, an unknown verb, and a line that is no request.
      clients[0]!.socket.send("PUT kept 2\nGET kept\nKEYS\nNOSUCH\n\n");
      clients[1]!.socket.send("CLEAR\nPUT new 1\n");
      await settled();
    });
    assertEquals(clients[0]!.socket.take(), DISK_FAILED.repeat(5));
    assertEquals(clients[1]!.socket.take(), DISK_FAILED.repeat(2));
    table.failure = undefined;
    clients[1]!.socket.send("GET kept\nGET new\nCOUNT\n");
    await settled();
    assertEquals(clients[1]!.socket.take(), "200 OK 1\r\n404 NOT FOUND\r\n200 OK 1\r\n");
    for (const { socket, served } of clients) {
      socket.finish();
      await served;
    }
  },
);

testWith(["read"], "writes that the socket takes in parts are completed, in order", async () => {
  const { connect } = await makeServer();
  const { socket, served } = connect();
  socket.writeBytesMax = 7;
  socket.send(`PUT a ${"é".repeat(50)}\nGET a\n`, "COUNT\nGET b\n");
  socket.finish();
  await served;
  const expected = `200 OK\r\n200 OK ${"é".repeat(50)}\r\n200 OK 1\r\n404 NOT FOUND\r\n`;
  assertEquals(socket.take(), expected);
});

testWith(
  ["read"],
  "one write is under way at a time, and what comes meanwhile goes with the next",
  async () => {
    const { connect } = await makeServer();
    const { socket, served } = connect();
    socket.block();
    for (let i = 1; i <= 20; i++) {
      socket.send(`INCR a\n`);
      await settled();
      assertEquals(socket.writing, 1);
    }
    socket.unblock();
    await settled();
    assertEquals(socket.take(), numberedReplies(20));
    assertEquals(socket.writes.length, 2, "the first reply, then the other nineteen");
    socket.finish();
    await served;
  },
);

testWith(
  ["read"],
  "a client that does not read is not read from, until its replies are gone",
  async () => {
    const { table, connect } = await makeServer();
    const { socket, served } = connect();
    table.put("a", "x".repeat(100_000));
    socket.block();
    socket.send(...Array(50).fill("GET a\n"));
    await settled();
    const { unread } = socket;
    assert(unread > 40, `${unread} packets of 50 are left`);
    await settled();
    assertEquals(socket.unread, unread, "no more is read");
    socket.unblock();
    socket.finish();
    await served;
    assertEquals(socket.take(), `200 OK ${"x".repeat(100_000)}\r\n`.repeat(50));
  },
);

testWith(["read"], "many requests in one packet wait where their replies are large", async () => {
  const { table, connect } = await makeServer();
  const { socket, served } = connect();
  table.put("a", "x".repeat(100_000));
  socket.block();
  socket.send("GET a\n".repeat(100));
  await settled();
  assert(table.reads <= 4, `${table.reads} replies of 100 kB are held`);
  socket.unblock();
  socket.finish();
  await served;
  assertEquals(table.reads, 100);
  assertEquals(socket.take().length, 100 * "200 OK \r\n".length + 100 * 100_000);
});

testWith(["read"], "another client is served while one does not read", async () => {
  const { table, connect } = await makeServer();
  const [stuck, other] = [connect(), connect()];
  table.put("a", "x".repeat(300_000));
  stuck.socket.block();
  stuck.socket.send(...Array(10).fill("GET a\n"));
  other.socket.send("COUNT\n");
  await settled();
  assertEquals(other.socket.take(), "200 OK 1\r\n");
  for (const { socket, connection, served } of [stuck, other]) {
    connection.close();
    assert(socket.isClosed);
    await served;
  }
});

testWith(["read"], "a connection whose client is gone ends without a word in the log", async () => {
  const { connect } = await makeServer();
  const { socket, served } = connect();
  const log = await logOf(async () => {
    socket.block();
    socket.send("COUNT\n");
    await settled();
    socket.write = () => Promise.reject(new Deno.errors.BrokenPipe());
    socket.send("COUNT\n");
    socket.unblock();
    await served;
  });
  assertEquals([socket.isClosed, log], [true, []]);
});

testWith(
  ["read"],
  "an end is behind the replies to what was received, and an idle client ends at once",
  async () => {
    const { connect } = await makeServer();
    const [busyOne, idle] = [connect(), connect()];
    busyOne.socket.block();
    busyOne.socket.send("PUT a 1\nGET a\n");
    await settled();
    busyOne.connection.end();
    idle.connection.end();
    await idle.served;
    assertEquals([busyOne.socket.isClosed, idle.socket.isClosed], [false, true]);
    busyOne.socket.unblock();
    await busyOne.served;
    assertEquals(busyOne.socket.take(), "200 OK\r\n200 OK 1\r\n");
  },
);

testWith(["read"], "an end is behind the replies that are still to be made, too", async () => {
  const { table, connect } = await makeServer();
  const { socket, connection, served } = connect();
  table.put("a", "x".repeat(200_000));
  socket.block();
  socket.send("GET a\n".repeat(10));
  await settled();
  connection.end();
  await settled();
  assert(table.reads < 10, "it waits for the client in the middle of the packet");
  socket.unblock();
  socket.finish();
  await served;
  assertEquals(socket.take(), `200 OK ${"x".repeat(200_000)}\r\n`.repeat(10));
});

testWith(
  ["read"],
  "what a client still sends behind QUIT is dropped, so that the reply is not lost",
  async () => {
    const { connect } = await makeServer();
    const { socket, served } = connect();
    socket.send("QUIT\n", "PUT a 1\n");
    await settled();
    assertEquals([socket.isFinished, socket.isClosed], [true, false]);
    socket.send("PUT a 2\n");
    await settled();
    assertEquals(socket.unread, 0, "it is read, so that the kernel sends no reset");
    socket.finish();
    await served;
    assertEquals([socket.take(), socket.isClosed], ["200 OK\r\n", true]);
  },
);

testWith(["read"], "a refused client gets the reason, then the connection ends", async () => {
  const { options } = await makeServer();
  const socket = new MemorySocket();
  const refused = new Connection(socket, options).refuse(busy("too many connections"));
  socket.send("PUT a 1\n");
  await settled();
  socket.finish();
  await refused;
  assertEquals(socket.take(), "503 BUSY too many connections\r\n");
  assert(socket.isClosed);
});

testWith(
  ["read"],
  "a silent client is kept for the idle timeout, and each byte begins it anew",
  async () => {
    const { connect } = await makeServer({ idleTimeout: 3 });
    const { socket, connection, served } = connect();
    for (let i = 0; i < 5; i++) {
      sweepSeconds(connection, 2);
      socket.send("C");
      await settled();
    }
    assertEquals(socket.isClosed, false);
    sweepSeconds(connection, 4);
    assertEquals(socket.isClosed, true);
    await served;
  },
);

testWith(
  ["read"],
  "telnet's timing mark is answered in a quiet moment, and only there",
  async () => {
    const { connect } = await makeServer();
    const { socket, connection, served } = connect();
    const doTimingMark = new Uint8Array([0xff, 0xfd, 0x06]);
    socket.send(doTimingMark, "COUNT\n");
    await settled();
    sweepSeconds(connection, 5);
    assertEquals(socket.take(), "200 OK 0\r\n", "another line has come: nobody waits");
    socket.send(doTimingMark);
    await settled();
    sweepSeconds(connection, 1);
    assertEquals(socket.take(), "", "it may just go on");
    sweepSeconds(connection, 5);
    await settled();
    // IAC WONT TIMING-MARK, once; its first two bytes are no UTF-8.
    assertEquals(socket.take(), "\ufffd\ufffd\x06");
    socket.send("COUNT\n");
    await settled();
    assertEquals(socket.take(), "200 OK 0\r\n");
    connection.close();
    await served;
  },
);

testWith(["read"], "without an idle timeout a silent client is kept for ever", async () => {
  const { connect } = await makeServer();
  const { socket, connection, served } = connect();
  sweepSeconds(connection, 100_000);
  assertEquals(socket.isClosed, false);
  connection.close();
  await served;
});

testWith(["read"], "a client that takes no replies is closed after the write timeout", async () => {
  const { connect } = await makeServer({ writeTimeout: 3 });
  const { socket, connection, served } = connect();
  socket.block();
  socket.send("COUNT\n");
  await settled();
  sweepSeconds(connection, 2);
  assertEquals(socket.isClosed, false);
  sweepSeconds(connection, 2);
  assertEquals(socket.isClosed, true);
  await served;
});

/** A command whose handler this is. */
function command(handler: (args: Text[], context: Context) => unknown, arity = ["key"]): Command {
  return { summary: "Serve a test", arity, replies: {}, handler: handler as Command["handler"] };
}

/** A command that answers with its argument when the test lets it, and stores it then. */
function makeLate() {
  const waiting: (() => void)[] = [];
  const late = command(async ([key], { table }) => {
    const name = String(key);
    await new Promise<void>((resolve) => waiting.push(resolve));
    table.put("late", name);
    return ok(name);
  });
  return { late, waiting };
}

testWith(["read"], "lines behind a handler that waits are answered behind it", async () => {
  const { late, waiting } = makeLate();
  const { table, connect } = await makeServer({}, { LATE: late });
  const [slow, other] = [connect(), connect()];
  const count = 10_000;
  slow.socket.send(`INCR a\nLATE x\n${"INCR a\n".repeat(count)}GET late\n`);
  other.socket.send("INCR b\n");
  await until(() => waiting.length > 0);
  await settled();
  assertEquals(slow.socket.take(), "200 OK 1\r\n", "what stands before it leaves at once");
  assertEquals(other.socket.take(), "200 OK 1\r\n");
  assertEquals(String(table.get("a")), "1");
  waiting[0]!();
  slow.socket.finish();
  await slow.served;
  const expected = Array.from({ length: count }, (_, i) => `200 OK ${i + 2}\r\n`).join("");
  assertEquals(slow.socket.take(), `200 OK x\r\n${expected}200 OK x\r\n`);
  other.socket.finish();
  await other.served;
});

testWith(["read"], "handlers that wait keep what they took of their arguments", async () => {
  const { late, waiting } = makeLate();
  const { connect } = await makeServer({}, { LATE: late });
  const clients = Array.from({ length: 50 }, connect);
  clients.forEach(({ socket }, i) => socket.send(`LATE é${i}\nLATE ${"x".repeat(i)}!\nGET late\n`));
  for (let round = 0; round < 2; round++) {
    await until(() => waiting.length === clients.length);
    for (const resolve of waiting.splice(0).reverse()) resolve();
  }
  for (const [i, { socket, served }] of clients.entries()) {
    socket.finish();
    await served;
    const [first, second, stored] = socket.take().split("\r\n");
    assertEquals([first, second], [`200 OK é${i}`, `200 OK ${"x".repeat(i)}!`]);
    assert(/^200 OK (x*!|é\d+)$/.test(stored!), stored);
  }
});

testWith(
  ["read"],
  "a client that leaves while its handler waits costs nobody anything",
  async () => {
    const { late, waiting } = makeLate();
    const { table, connect } = await makeServer({}, { LATE: late });
    const [gone, other] = [connect(), connect()];
    const log = await logOf(async () => {
      gone.socket.send("LATE x\nPUT behind 1\n");
      await until(() => waiting.length > 0);
      gone.connection.close();
      waiting[0]!();
      await gone.served;
    });
    assertEquals([log, gone.socket.take()], [[], ""]);
    other.socket.send("GET behind\nGET late\n");
    assertEquals(await other.socket.reply(), "404 NOT FOUND\r\n200 OK x\r\n");
    assertEquals(table.mark(), 0, "what it changed is committed");
    other.socket.finish();
    await other.served;
  },
);

testWith(["read"], "a late reply larger than what may be unsent is sent all the same", async () => {
  const large = "x".repeat(300_000);
  const { connect } = await makeServer({}, {
    LARGE: command(() => Promise.resolve(ok(large)), []),
  });
  const { socket, served } = connect();
  socket.send("LARGE\nLARGE\nCOUNT\n");
  socket.finish();
  await served;
  assertEquals(socket.take(), `200 OK ${large}\r\n`.repeat(2) + "200 OK 0\r\n");
});

testWith(["read"], "late replies wait too, where the client does not read", async () => {
  const large = "x".repeat(100_000);
  let made = 0;
  const handler = () => {
    made++;
    return Promise.resolve(ok(large));
  };
  const { connect } = await makeServer({}, { LARGE: command(handler, []) });
  const { socket, served } = connect();
  socket.block();
  socket.send("LARGE\n".repeat(100));
  await settled();
  assert(made <= 4, `${made} replies of 100 kB are held`);
  socket.unblock();
  socket.finish();
  await served;
  assertEquals(made, 100);
  assertEquals(socket.take(), `200 OK ${large}\r\n`.repeat(100));
});

testWith(["read"], "a late reply that is the last ends the connection", async () => {
  const bye = command(() => Promise.resolve(final(okay)), []);
  const { table, connect } = await makeServer({}, { BYE: bye });
  const { socket, served } = connect();
  socket.send("PUT a 1\nBYE\nPUT a 2\n");
  await until(() => socket.isFinished);
  socket.finish();
  await served;
  assertEquals(socket.take(), "200 OK\r\n200 OK\r\n");
  assertEquals(String(table.get("a")), "1");
});

testWith(["read"], "a late reply is 500 where the commit of its change fails", async () => {
  const { late, waiting } = makeLate();
  const { table, connect } = await makeServer({}, { LATE: late });
  const { socket, served } = connect();
  socket.send("LATE x\n");
  await until(() => waiting.length > 0);
  table.failure = new TableError("the disk failed");
  await logOf(async () => {
    waiting[0]!();
    assertEquals(await socket.reply(), DISK_FAILED);
  });
  table.failure = undefined;
  socket.send("GET late\n");
  assertEquals(await socket.reply(), "404 NOT FOUND\r\n");
  socket.finish();
  await served;
});

testWith(["read"], "what stands behind QUIT in its packet is not run, and others are", async () => {
  const { table, connect } = await makeServer();
  const [quitting, other] = [connect(), connect()];
  quitting.socket.send(`PUT a 1\n${"INCR n\n".repeat(100)}QUIT\nPUT a 2\nCLEAR\n`);
  other.socket.send("PUT b 1\nGET b\n");
  for (const { socket } of [quitting, other]) socket.finish();
  await Promise.all([quitting.served, other.served]);
  const expected = `200 OK\r\n${numberedReplies(100)}200 OK\r\n`;
  assertEquals(quitting.socket.take(), expected);
  assertEquals(other.socket.take(), "200 OK\r\n200 OK 1\r\n");
  assertEquals(["a", "b"].map((key) => String(table.get(key))), ["1", "1"]);
});

testWith(
  ["read"],
  "a client that is closed in the middle of a turn runs no more lines",
  async () => {
    const close = command(() => {
      doomed.connection.close();
      return okay;
    }, []);
    const { table, connect } = await makeServer({}, { CLOSE: close });
    const [first, doomed, last] = [connect(), connect(), connect()];
    const log = await logOf(async () => {
      first.socket.send("INCR a\nINCR a\n");
      doomed.socket.send("INCR b\nCLOSE\nINCR b\nCLEAR\n");
      last.socket.send("INCR c\nINCR c\n");
      await doomed.served;
      for (const { socket, served } of [first, last]) {
        socket.finish();
        await served;
        assertEquals(socket.take(), "200 OK 1\r\n200 OK 2\r\n");
      }
    });
    assertEquals([log, doomed.socket.take()], [[], ""]);
    assertEquals(["a", "b", "c"].map((key) => String(table.get(key))), ["2", "1", "2"]);
  },
);

testWith(
  ["read"],
  "a client whose socket breaks in the middle of its replies runs no more lines",
  async () => {
    const { table, connect } = await makeServer();
    const { socket, served } = connect();
    table.put("large", "x".repeat(200_000));
    const log = await logOf(async () => {
      socket.block();
      socket.send(`${"GET large\n".repeat(5)}PUT behind 1\n`);
      await until(() => socket.writing > 0);
      await settled();
      socket.close(); // As a reset does: the write fails, and so does every later call.
      socket.close = () => {};
      await served;
    });
    assertEquals([log, table.get("behind")], [[], undefined]);
  },
);

testWith(["read"], "half a line is not run, however its client leaves", async () => {
  const { table, connect } = await makeServer();
  for (const leave of ["finish", "close"] as const) {
    const { socket, connection, served } = connect();
    socket.send("PUT a 1\nPUT a 10");
    await until(() => socket.take() === "200 OK\r\n");
    if (leave === "finish") socket.finish();
    else connection.close();
    await served;
    assertEquals(String(table.get("a")), "1");
  }
});

testWith(["read"], "a client that floods does not keep another from its reply", async () => {
  using _clock = runClock();
  const { table, connect } = await makeServer();
  const [flood, other] = [connect(), connect()];
  const packet = utf8.encode("INCR a\n".repeat(9_000));
  const packets = 40;
  for (let i = 0; i < packets; i++) flood.socket.send(packet);
  flood.socket.finish();
  await until(() => flood.socket.unread < packets);
  other.socket.send("PUT b 1\n");
  assertEquals(await other.socket.reply(), "200 OK\r\n");
  assert(flood.socket.unread > 0, "the flood goes on");
  other.socket.finish();
  await Promise.all([flood.served, other.served]);
  assertEquals(String(table.get("a")), String(packets * 9_000));
});

testWith(["read"], "a line of 64 MiB is refused once, and the client served on", async () => {
  const { table, connect } = await makeServer();
  const { socket, served } = connect();
  const packet = new Uint8Array(65_536).fill(0x78);
  socket.send("PUT a ", ...Array(1_024).fill(packet), "\nCOUNT\n");
  socket.finish();
  await served;
  assertEquals(socket.take(), "400 BADREQUEST line too long\r\n200 OK 0\r\n");
  assertEquals(table.commits, 1, "all of it is one turn");
});

testWith(["read"], "lines that are no text keep their places among large replies", async () => {
  const { table, connect } = await makeServer({ lineBytesMax: 100 });
  const { socket, served } = connect();
  const large = "x".repeat(300_000);
  table.put("a", large);
  const bad = [...utf8.encode("PUT b \xff"), 0xff, 0xf1, 0xc3, 0x0a];
  const long = utf8.encode(`PUT c ${"x".repeat(100)}\n`);
  const get = utf8.encode("GET a\r\n");
  socket.send(
    Uint8Array.from([...get, ...bad, ...get, ...long, ...get, ...bad, ...utf8.encode("COUNT\n")]),
  );
  socket.finish();
  await served;
  const [value, noText] = [`200 OK ${large}\r\n`, "400 BADREQUEST line not UTF-8\r\n"];
  const tooLong = "400 BADREQUEST line too long\r\n";
  assertEquals(socket.take(), `${value}${noText}${value}${tooLong}${value}${noText}200 OK 1\r\n`);
});

testWith(
  ["read"],
  "a password that is given among pipelined lines counts from there on",
  async () => {
    const { table, options } = await makeServer();
    const isPassword = (guess: string) => guess === "sesame";
    const services = { ...options.services, isPassword };
    const socket = new MemorySocket();
    const served = new Connection(socket, { ...options, services }).serve();
    socket.send("PUT a 1\nAUTH wrong\nAUTH sesame\nPUT a 2\n");
    socket.finish();
    await served;
    const no = "401 UNAUTHORIZED\r\n";
    assertEquals(socket.take(), `${no}${no}200 OK\r\n200 OK\r\n`);
    assertEquals(String(table.get("a")), "2");
  },
);

function sweepSeconds(connection: Connection, seconds: number): void {
  for (let i = 0; i < seconds; i++) connection.sweep(1);
}

function numberedReplies(count: number): string {
  return Array.from({ length: count }, (_, i) => `200 OK ${i + 1}\r\n`).join("");
}
