/**
 * Clients that leave, break or flood at the worst moment: none of their lines runs that should not, and
 * the others are served.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { okay } from "../../../server/reply.ts";
import { REAL_TIME } from "../../../server/time.ts";
import { commandOf, countedTo, logOf, MemoryServer } from "../../support/memory_server.ts";
import { settled, until } from "../../support/memory_socket.ts";

Deno.test(
  "what follows QUIT in its packet is not run, and the lines of others are",
  async () => {
    const server = new MemoryServer();
    const [quitting, other] = [server.connect(), server.connect()];
    quitting.socket.send(`PUT a 1\n${"INCR n\n".repeat(100)}QUIT\nPUT a 2\nCLEAR\n`);
    other.socket.send("PUT b 1\nGET b\n");
    for (const { socket } of [quitting, other]) socket.finish();
    await Promise.all([quitting.served, other.served]);
    const expected = `200 OK\r\n${countedTo(100)}200 OK\r\n`;
    assertEquals(quitting.socket.take(), expected);
    assertEquals(other.socket.take(), "200 OK\r\n200 OK 1\r\n");
    assertEquals(["a", "b"].map((key) => String(server.table.get(key))), ["1", "1"]);
  },
);

Deno.test(
  "a client that is closed in the middle of a turn runs no more lines",
  async () => {
    const close = commandOf(() => {
      doomed.connection.close();
      return okay;
    }, []);
    const server = new MemoryServer({ commands: { CLOSE: close } });
    const [first, doomed, last] = [server.connect(), server.connect(), server.connect()];
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
    assertEquals(["a", "b", "c"].map((key) => String(server.table.get(key))), ["2", "1", "2"]);
  },
);

Deno.test(
  "a client whose socket breaks in the middle of its replies runs no more lines",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
    server.table.put("large", "x".repeat(200_000));
    const log = await logOf(async () => {
      socket.block();
      socket.send(`${"GET large\n".repeat(5)}PUT behind 1\n`);
      await until(() => socket.writing > 0);
      await settled();
      socket.close(); // As a reset does: the write fails, and so does every later call.
      socket.close = () => {};
      await served;
    });
    assertEquals([log, server.table.get("behind")], [[], undefined]);
  },
);

Deno.test("half a line is not run, however its client leaves", async () => {
  const server = new MemoryServer();
  for (const leave of ["finish", "close"] as const) {
    const { socket, connection, served } = server.connect();
    socket.send("PUT a 1\nPUT a 10");
    await until(() => socket.take() === "200 OK\r\n");
    if (leave === "finish") socket.finish();
    else connection.close();
    await served;
    assertEquals(String(server.table.get("a")), "1");
  }
});

Deno.test("a client that floods does not keep another from its reply", async () => {
  const server = new MemoryServer({ time: REAL_TIME });
  const [flood, other] = [server.connect(), server.connect()];
  const packet = new TextEncoder().encode("INCR a\n".repeat(9_000));
  const packets = 40;
  for (let i = 0; i < packets; i++) flood.socket.send(packet);
  flood.socket.finish();
  await until(() => flood.socket.unread < packets);
  other.socket.send("PUT b 1\n");
  assertEquals(await other.socket.reply(), "200 OK\r\n");
  assert(flood.socket.unread > 0, "the flood is not over");
  other.socket.finish();
  await Promise.all([flood.served, other.served]);
  assertEquals(String(server.table.get("a")), String(packets * 9_000));
});

Deno.test(
  "a line of 64 MiB is refused once, and its client is still served",
  async () => {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
    const packet = new Uint8Array(65_536).fill(0x78);
    socket.send("PUT a ", ...Array(1_024).fill(packet), "\nCOUNT\n");
    socket.finish();
    await served;
    assertEquals(socket.take(), "400 BADREQUEST line too long\r\n200 OK 0\r\n");
    assertEquals(server.table.commits, 1, "all of it is one turn");
  },
);
