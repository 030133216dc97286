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

Deno.test("a client that does not give the password is closed after 30 s, whatever it sends", async () => {
  const server = new MemoryServer({ isPassword: (guess) => guess === "sesame" });
  const [stranger, friend] = [server.connect(), server.connect()];
  friend.socket.send("AUTH sesame\n");
  for (let second = 0; second < 40; second++) {
    assertEquals(stranger.socket.isClosed, second > 30, `${second} s`);
    if (!stranger.socket.isClosed) stranger.socket.send("HELP\n");
    await settled();
    for (const { connection } of [stranger, friend]) connection.sweep(1);
  }
  assertEquals(friend.socket.isClosed, false);
  friend.connection.close();
  await Promise.all([stranger.served, friend.served]);
});

Deno.test("a client that does not finish its handshake is closed after 30 s", async () => {
  const server = new MemoryServer();
  const [stranger, friend] = [server.connect(), server.connect()];
  for (const { socket } of [stranger, friend]) socket.isHandshaking = true;
  sweepSeconds(friend.connection, 20);
  friend.socket.isHandshaking = false;
  for (const { connection } of [stranger, friend]) sweepSeconds(connection, 40);
  assertEquals([stranger.socket.isClosed, friend.socket.isClosed], [true, false]);
  friend.connection.close();
  await Promise.all([stranger.served, friend.served]);
});

function sweepSeconds(connection: Connection, seconds: number): void {
  for (let i = 0; i < seconds; i++) connection.sweep(1);
}
