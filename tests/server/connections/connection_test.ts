/**
 * A connection: how it writes replies, when it stops reading, and how it ends.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { TimeSlice } from "../../../server/time_slice.ts";
import { STOPPED } from "../../support/clock.ts";
import { refuse } from "../../../server/connections/farewell.ts";
import { busy, ok } from "../../../server/reply.ts";
import { commandOf, countedTo, logOf, MemoryServer } from "../../support/memory_server.ts";
import { MemorySocket, settled } from "../../support/memory_socket.ts";

const utf8 = new TextEncoder();

Deno.test("writes that the socket takes in parts are completed, in order", async () => {
  const server = new MemoryServer();
  const { socket, served } = server.connect();
  socket.writeBytesMax = 7;
  socket.send(`PUT a ${"é".repeat(50)}\nGET a\n`, "COUNT\nGET b\n");
  socket.finish();
  await served;
  const expected = `200 OK\r\n200 OK ${"é".repeat(50)}\r\n200 OK 1\r\n404 NOT FOUND\r\n`;
  assertEquals(socket.take(), expected);
});

Deno.test(
  "one write is under way at a time, and later replies go with the next",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
    socket.block();
    for (let i = 1; i <= 20; i++) {
      socket.send(`INCR a\n`);
      await settled();
      assertEquals(socket.writing, 1);
    }
    socket.unblock();
    await settled();
    assertEquals(socket.take(), countedTo(20));
    assertEquals(socket.writes.length, 2, "the first reply, then the other nineteen");
    socket.finish();
    await served;
  },
);

Deno.test(
  "a client that does not read is not read from until its replies are gone",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
    server.table.put("a", "x".repeat(100_000));
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

Deno.test(
  "requests of one packet wait while their replies are large and unread",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
    server.table.put("a", "x".repeat(100_000));
    socket.block();
    socket.send("GET a\n".repeat(100));
    await settled();
    assert(server.table.reads <= 4, `${server.table.reads} replies of 100 kB are held`);
    socket.unblock();
    socket.finish();
    await served;
    assert(server.table.reads <= 200, "each value is looked up again where it has not fitted");
    assertEquals(socket.take().length, 100 * "200 OK \r\n".length + 100 * 100_000);
  },
);

Deno.test("a reply joins others that are unread only where there is room for all of it", async () => {
  const server = new MemoryServer();
  const { socket, served } = server.connect();
  server.table.put("a", "x".repeat(200_000));
  server.table.put("b", "y".repeat(500_000));
  socket.block();
  socket.send("GET nothing\nGET a\nGET a\nGET b\n", "COUNT\nGET b\nGET a\n");
  await settled();
  socket.unblock();
  socket.finish();
  await served;
  const [a, b] = [`200 OK ${"x".repeat(200_000)}\r\n`, `200 OK ${"y".repeat(500_000)}\r\n`];
  assertEquals(socket.take(), `404 NOT FOUND\r\n${a}${a}${b}200 OK 2\r\n${b}${a}`);
  const held = socket.writes.filter((length) => length !== b.length);
  assert(Math.max(...held) <= 262_144, `${socket.writes}`);
});

Deno.test("a request whose reply has to wait changes nothing until it is answered", async () => {
  const grow = commandOf(([key], { table }) => {
    const next = Number(String(table.get(key!) ?? 0)) + 1;
    table.put(key!, String(next));
    return ok(`${next} ${"x".repeat(200_000)}`);
  });
  const server = new MemoryServer({ commands: { grow } });
  const { socket, served } = server.connect();
  socket.block();
  socket.send("GROW a\nGROW a\nGROW a\n");
  await settled();
  assertEquals(String(server.table.get("a")), "1");
  socket.unblock();
  socket.finish();
  await served;
  const replies = [1, 2, 3].map((count) => `200 OK ${count} ${"x".repeat(200_000)}\r\n`);
  assertEquals(socket.take(), replies.join(""));
});

Deno.test("before the password a client can leave a few KiB of replies unread", async () => {
  const server = new MemoryServer({ isPassword: () => false });
  const { socket, connection, served } = server.connect();
  socket.block();
  socket.send(...Array(100).fill("HELP\n"), "COUNT\n".repeat(1_000));
  await settled();
  socket.unblock();
  await settled();
  assert(Math.max(...socket.writes) <= 5_120, `${socket.writes}`);
  connection.close();
  await served;
});

Deno.test("another client is served while one does not read", async () => {
  const server = new MemoryServer();
  const [stuck, other] = [server.connect(), server.connect()];
  server.table.put("a", "x".repeat(300_000));
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

Deno.test(
  "a connection whose client is gone ends without an entry in the log",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
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
  },
);

Deno.test(
  "end() lets the replies to what was received leave first, and closes an idle client at once",
  async () => {
    const server = new MemoryServer();
    const [busyOne, idle] = [server.connect(), server.connect()];
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

Deno.test("end() waits for requests that are not answered yet, too", async () => {
  const server = new MemoryServer();
  const { socket, connection, served } = server.connect();
  server.table.put("a", "x".repeat(200_000));
  socket.block();
  socket.send("GET a\n".repeat(10));
  await settled();
  connection.end();
  await settled();
  assert(server.table.reads < 10, "it waits for the client in the middle of the packet");
  socket.unblock();
  socket.finish();
  await served;
  assertEquals(socket.take(), `200 OK ${"x".repeat(200_000)}\r\n`.repeat(10));
});

Deno.test(
  "what a client sends after QUIT is read and dropped, so that the reply is not lost",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
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

Deno.test("a refused client gets the reason, then the connection ends", async () => {
  const socket = new MemorySocket();
  const refused = refuse(socket, {
    reply: busy("too many connections"),
    slice: new TimeSlice(STOPPED),
  });
  socket.send("PUT a 1\n");
  await settled();
  socket.finish();
  await refused;
  assertEquals(socket.take(), "503 BUSY too many connections\r\n");
  assert(socket.isClosed);
});

Deno.test(
  "lines that are not text are answered in their places among large replies",
  async () => {
    const server = new MemoryServer({ limits: { lineBytesMax: 100 } });
    const { socket, served } = server.connect();
    const large = "x".repeat(300_000);
    server.table.put("a", large);
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
  },
);

Deno.test(
  "a password that is given among pipelined lines counts from there on",
  async () => {
    const server = new MemoryServer({ isPassword: (guess: string) => guess === "sesame" });
    const { socket, served } = server.connect();
    socket.send("PUT a 1\nAUTH wrong\nAUTH sesame\nPUT a 2\n");
    socket.finish();
    await served;
    const no = "401 UNAUTHORIZED\r\n";
    assertEquals(socket.take(), `${no}${no}200 OK\r\n200 OK\r\n`);
    assertEquals(String(server.table.get("a")), "2");
  },
);
