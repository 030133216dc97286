/**
 * What a connection does when its client is silent: the idle timeout, the write timeout, and telnet's timing
 * mark.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Connection } from "../../../server/connections/connection.ts";
import { MemoryServer } from "../../support/memory_server.ts";
import { settled } from "../../support/memory_socket.ts";

Deno.test(
  "a silent client is kept for the idle timeout, and each byte restarts it",
  async () => {
    const server = new MemoryServer({ limits: { idleTimeout: 3 } });
    const { socket, connection, served } = server.connect();
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

Deno.test("without an idle timeout a silent client is kept forever", async () => {
  const server = new MemoryServer();
  const { socket, connection, served } = server.connect();
  sweepSeconds(connection, 100_000);
  assertEquals(socket.isClosed, false);
  connection.close();
  await served;
});

Deno.test(
  "a client that takes no replies is closed after the write timeout",
  async () => {
    const server = new MemoryServer({ limits: { writeTimeout: 3 } });
    const { socket, connection, served } = server.connect();
    socket.block();
    socket.send("COUNT\n");
    await settled();
    sweepSeconds(connection, 2);
    assertEquals(socket.isClosed, false);
    sweepSeconds(connection, 2);
    assertEquals(socket.isClosed, true);
    await served;
  },
);

Deno.test(
  "telnet's timing mark is answered at once, before the replies to what comes after",
  async () => {
    const server = new MemoryServer();
    const { socket, connection, served } = server.connect();
    const doTimingMark = new Uint8Array([0xff, 0xfd, 0x06]);
    // IAC WONT TIMING-MARK; its first two bytes are no UTF-8.
    const mark = "\ufffd\ufffd\x06";
    socket.send(doTimingMark);
    await settled();
    assertEquals(socket.take(), mark);
    socket.send(doTimingMark, "COUNT\n");
    await settled();
    assertEquals(socket.take(), `${mark}200 OK 0\r\n`);
    sweepSeconds(connection, 5);
    socket.send("COUNT\n");
    await settled();
    assertEquals(socket.take(), "200 OK 0\r\n", "each is answered once");
    connection.close();
    await served;
  },
);

Deno.test(
  "telnet's timing mark waits for replies that are on their way, and never stands in one",
  async () => {
    const server = new MemoryServer();
    const { socket, connection, served } = server.connect();
    socket.block();
    socket.send("COUNT\n");
    await settled();
    socket.send(new Uint8Array([0xff, 0xfd, 0x06]));
    await settled();
    sweepSeconds(connection, 1);
    socket.unblock();
    await settled();
    assertEquals(socket.take(), "200 OK 0\r\n");
    sweepSeconds(connection, 1);
    await settled();
    assertEquals(socket.take(), "\ufffd\ufffd\x06");
    connection.close();
    await served;
  },
);

function sweepSeconds(connection: Connection, seconds: number): void {
  for (let i = 0; i < seconds; i++) connection.sweep(1);
}
