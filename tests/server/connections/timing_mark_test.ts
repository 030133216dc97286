/**
 * Telnet's timing mark (RFC 860): it is answered after the replies to what came before it, and before those to
 * what comes after, wherever the packets end.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { bytes } from "../../support/protocol_case.ts";
import { MemoryServer } from "../../support/memory_server.ts";
import { settled } from "../../support/memory_socket.ts";

const DO_TIMING_MARK = [0xff, 0xfd, 0x06];
/** IAC WONT TIMING-MARK, as the test reads it: its first two bytes are no UTF-8. */
const MARK = "\ufffd\ufffd\x06";

Deno.test("a timing mark is answered between the replies around it, wherever it is cut", async () => {
  const sent = bytes(
    ...["COUNT\nPUT a 1\n", ...DO_TIMING_MARK, "GET", ...DO_TIMING_MARK, 0xff, 0xf1],
    ...[...DO_TIMING_MARK, " a\n", ...DO_TIMING_MARK, "COUNT\n", ...DO_TIMING_MARK],
  );
  const [before, after] = ["200 OK 0\r\n200 OK\r\n", "200 OK 1\r\n"];
  const expected = `${before}${MARK}${MARK}${after}${MARK}${after}${MARK}`;
  const cuts = Array.from({ length: sent.length + 1 }, (_, at) => [
    sent.subarray(0, at),
    sent.subarray(at),
  ]);
  for (const packets of [...cuts, Array.from(sent, (byte) => Uint8Array.of(byte))]) {
    const server = new MemoryServer();
    const { socket, served } = server.connect();
    socket.send(...packets.filter(({ length }) => length > 0));
    socket.finish();
    await served;
    // Marks with nothing but telnet's own between them may be answered once.
    const marks = new RegExp(`(${MARK}){2,3}`);
    assertEquals(socket.take().replace(marks, MARK + MARK), expected);
  }
});

Deno.test("a timing mark is answered at once where nothing came before it", async () => {
  const server = new MemoryServer({ isPassword: () => false });
  const { socket, connection, served } = server.connect();
  socket.send(bytes(...DO_TIMING_MARK));
  await settled();
  assertEquals(socket.take(), MARK);
  connection.close();
  await served;
});

Deno.test("a timing mark waits for replies that are on their way, and never stands in one", async () => {
  const server = new MemoryServer();
  const { socket, connection, served } = server.connect();
  socket.block();
  socket.writeBytesMax = 3;
  socket.send("COUNT\n", bytes(...DO_TIMING_MARK), "COUNT\n");
  await settled();
  socket.unblock();
  await settled();
  assertEquals(socket.take(), `200 OK 0\r\n${MARK}200 OK 0\r\n`);
  connection.close();
  await served;
});
