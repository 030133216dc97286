/**
 * The turn, and how a connection takes part in it: one commit for all requests of a turn, their
 * replies after it, and what happens where it fails. The table is a fake one, the sockets have no
 * network.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Context } from "../server/command.ts";
import { Connection, type Limits } from "../server/connection.ts";
import { Figures } from "../server/figures.ts";
import { busy } from "../server/reply.ts";
import { type Member, Turn } from "../server/turn.ts";
import { MemoryTable } from "../tables/memory_table.ts";
import { type Entry, TableError } from "../tables/table.ts";
import { contextOver, testWith } from "./harness.ts";
import { MemorySocket, settled } from "./memory_socket.ts";

const DISK_FAILED = "500 ERROR the disk failed\r\n";

/**
 * A table in memory that tells of its commits, fails them where it is told to, and counts reads.
 */
class FakeTable extends MemoryTable {
  commits = 0;
  reads = 0;
  onCommit = () => {};
  failure: Error | undefined;

  override entry(key: string): Entry | undefined {
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
  const figures = new Figures({ version: "0.0.0", startedAt: 0 });
  const done: unknown[] = [];
  table.onCommit = () => done.push("commit");
  const turn = new Turn({ table, figures, onFatal: (error) => done.push(error) });
  /**
   * Lets a member join; its release is told by its name, and by the reply that takes all places.
   */
  const join = (name: string, then = () => {}) => {
    const member: Member = {
      release(failure) {
        done.push(failure === undefined ? name : `${name}: ${failure.wire}`);
        then();
      },
    };
    turn.join(member);
  };
  return { table, figures, turn, done, join };
}

/** A server without a network, over the real commands. */
async function makeServer(limits: Partial<Limits> = {}) {
  const table = new FakeTable();
  const services: Context = { ...await contextOver(table) };
  const turn = new Turn({ table, figures: services.figures, onFatal: () => {} });
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

Deno.test("a client that is alone waits for nobody, but for the commit", async () => {
  const { figures, done, join } = makeTurn();
  figures.connections = 2;
  join("a");
  assertEquals(done, []);
  figures.connections = 1;
  join("b");
  assertEquals(done, ["commit", "a", "b"]);
  await settled();
  assertEquals(done, ["commit", "a", "b"], "and its turn ends once");
});

Deno.test("who joins while replies leave is in the next turn", async () => {
  const { done, join } = makeTurn();
  join("a", () => join("late"));
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
  assert(log[0]!.startsWith("Cannot commit:"), log[0]);
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

Deno.test("an error of ours in a commit is told to its turn alone, without its words", async () => {
  const { table, done, join } = makeTurn();
  table.failure = new TypeError("x is not a function");
  const log = await logOf(async () => {
    join("a");
    await settled();
  });
  table.failure = undefined;
  join("b");
  await settled();
  assertEquals(done, ["commit", "a: 500 ERROR internal error\r\n", "commit", "b"]);
  assert(log[0]!.includes("x is not a function"), log[0]);
});

Deno.test("only commits that wrote something are counted", async () => {
  const { table, figures, join } = makeTurn();
  join("a");
  await settled();
  assertEquals(figures.commits, 0);
  table.put("a", "1");
  join("a");
  await settled();
  assertEquals(figures.commits, 1);
  assert(figures.commitMsMax >= 0 && figures.commitMs >= figures.commitMsMax);
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

function sweepSeconds(connection: Connection, seconds: number): void {
  for (let i = 0; i < seconds; i++) connection.sweep(1);
}

function numberedReplies(count: number): string {
  return Array.from({ length: count }, (_, i) => `200 OK ${i + 1}\r\n`).join("");
}
