/**
 * Handlers that return a Promise: the order of replies, what waits for them, and what does not.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { final, ok, okay } from "../../../server/reply.ts";
import {
  commandOf,
  DISK_FAILED,
  diskFailure,
  logOf,
  MemoryServer,
} from "../../support/memory_server.ts";
import { settled, until } from "../../support/memory_socket.ts";

Deno.test("lines after a handler that waits are answered after it", async () => {
  const { late, waiting } = makeLate();
  const server = new MemoryServer({ commands: { LATE: late } });
  const [slow, other] = [server.connect(), server.connect()];
  const count = 10_000;
  slow.socket.send(`INCR a\nLATE x\n${"INCR a\n".repeat(count)}GET late\n`);
  other.socket.send("INCR b\n");
  await until(() => waiting.length > 0);
  await settled();
  assertEquals(slow.socket.take(), "200 OK 1\r\n", "the reply before it leaves at once");
  assertEquals(other.socket.take(), "200 OK 1\r\n");
  assertEquals(String(server.table.get("a")), "1");
  waiting[0]!();
  slow.socket.finish();
  await slow.served;
  const expected = Array.from({ length: count }, (_, i) => `200 OK ${i + 2}\r\n`).join("");
  assertEquals(slow.socket.take(), `200 OK x\r\n${expected}200 OK x\r\n`);
  other.socket.finish();
  await other.served;
});

Deno.test(
  "handlers that wait keep the strings that they made of their arguments",
  async () => {
    const { late, waiting } = makeLate();
    const server = new MemoryServer({ commands: { LATE: late } });
    const clients = Array.from({ length: 50 }, () => server.connect());
    clients.forEach(({ socket }, i) =>
      socket.send(`LATE é${i}\nLATE ${"x".repeat(i)}!\nGET late\n`)
    );
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
  },
);

Deno.test("a client that leaves while its handler waits disturbs nobody", async () => {
  const { late, waiting } = makeLate();
  const server = new MemoryServer({ commands: { LATE: late } });
  const [gone, other] = [server.connect(), server.connect()];
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
  assertEquals(server.table.mark(), 0, "what it changed is committed");
  other.socket.finish();
  await other.served;
});

Deno.test(
  "a late reply larger than what may wait unsent is sent all the same",
  async () => {
    const large = "x".repeat(300_000);
    const server = new MemoryServer({
      commands: {
        LARGE: commandOf(() => Promise.resolve(ok(large)), []),
      },
    });
    const { socket, served } = server.connect();
    socket.send("LARGE\nLARGE\nCOUNT\n");
    socket.finish();
    await served;
    assertEquals(socket.take(), `200 OK ${large}\r\n`.repeat(2) + "200 OK 0\r\n");
  },
);

Deno.test("late replies wait too, if the client does not read", async () => {
  const large = "x".repeat(100_000);
  let made = 0;
  const handler = () => {
    made++;
    return Promise.resolve(ok(large));
  };
  const server = new MemoryServer({ commands: { LARGE: commandOf(handler, []) } });
  const { socket, served } = server.connect();
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

Deno.test("a late reply that is the last one ends the connection", async () => {
  const bye = commandOf(() => Promise.resolve(final(okay)), []);
  const server = new MemoryServer({ commands: { BYE: bye } });
  const { socket, served } = server.connect();
  socket.send("PUT a 1\nBYE\nPUT a 2\n");
  await until(() => socket.isFinished);
  socket.finish();
  await served;
  assertEquals(socket.take(), "200 OK\r\n200 OK\r\n");
  assertEquals(String(server.table.get("a")), "1");
});

Deno.test("a late reply is 500 if the commit of its change fails", async () => {
  const { late, waiting } = makeLate();
  const server = new MemoryServer({ commands: { LATE: late } });
  const { socket, served } = server.connect();
  socket.send("LATE x\n");
  await until(() => waiting.length > 0);
  server.table.failure = diskFailure();
  await logOf(async () => {
    waiting[0]!();
    assertEquals(await socket.reply(), DISK_FAILED);
  });
  server.table.failure = undefined;
  socket.send("GET late\n");
  assertEquals(await socket.reply(), "404 NOT FOUND\r\n");
  socket.finish();
  await served;
});

/** A command that stores its argument and answers with it once the test lets it go on. */
function makeLate() {
  const waiting: (() => void)[] = [];
  const late = commandOf(async ([key], { table }) => {
    const name = String(key);
    await new Promise<void>((resolve) => waiting.push(resolve));
    table.put("late", name);
    return ok(name);
  });
  return { late, waiting };
}
