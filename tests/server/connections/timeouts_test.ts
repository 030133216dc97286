/**
 * What a connection does when its client is silent: the idle timeout and the write timeout.
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

function sweepSeconds(connection: Connection, seconds: number): void {
  for (let i = 0; i < seconds; i++) connection.sweep(1);
}
