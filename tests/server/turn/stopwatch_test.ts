/**
 * Requests that hold up the server: which are found, what is told of them, and what never is.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { okay } from "../../../server/reply.ts";
import { ManualTime } from "../../support/clock.ts";
import { eventOf } from "../../support/harness.ts";
import { commandOf, logOf, MemoryServer } from "../../support/memory_server.ts";
import { settled } from "../../support/memory_socket.ts";

/** A server on which LONG takes so many milliseconds, and TOUCH as well, which has a key. */
function slowServer() {
  const time = new ManualTime();
  const take = (ms: unknown) => {
    time.ms += Number(String(ms));
    return okay;
  };
  const commands = {
    long: commandOf(([ms]) => take(ms), ["ms"]),
    touch: commandOf(([, ms]) => take(ms), ["key", "ms"]),
  };
  const server = new MemoryServer({ commands, time, slowMs: 10 });
  /** What the log tells when these lines were answered. */
  const logAfter = async (...lines: string[]) => {
    const { socket, served } = server.connect();
    const log = await logOf(async () => {
      socket.send(lines.map((line) => `${line}\n`).join(""));
      await settled();
      while (time.fire() || time.waiting > 0) await settled();
      time.tick();
      await settled();
    });
    assertEquals(socket.take(), "200 OK\r\n".repeat(lines.length));
    socket.finish();
    await served;
    return log.map(eventOf);
  };
  return { server, logAfter };
}

Deno.test("a request that takes longer than --slow is a line of the log, without key and value", async () => {
  const { server, logAfter } = slowServer();
  assertEquals(await logAfter("LONG 1", "LONG 10", "TOUCH secret 5"), []);
  assertEquals(server.services.metrics.slow.count, 0);
  const [line, ...others] = await logAfter("LONG 3", "LONG 25");
  // The line and its reply have 7 and 8 bytes.
  assertEquals(line, "warn  Slow request verb=LONG ms=25 bytes=15 address=127.0.0.1:1024");
  assertEquals(others, []);
  const [slow] = server.services.metrics.slow.last;
  assert(slow!.at > 0);
  assertEquals({ ...slow, at: 0 }, {
    at: 0,
    verb: "LONG",
    requests: 1,
    milliseconds: 25,
    bytes: 15,
    address: "127.0.0.1:1024",
  });
});

Deno.test("short requests are timed together, and an operation without a key by itself", async () => {
  const { logAfter } = slowServer();
  const [together] = await logAfter("TOUCH secret 6", "TOUCH secret 6");
  assertEquals(
    together,
    "warn  Slow requests verb=TOUCH requests=2 ms=12 bytes=22 address=127.0.0.1:1024",
  );
  const events = await logAfter("TOUCH secret 11", "LONG 12", "TOUCH secret 2");
  assertEquals(events.map((event) => /verb=(\w+).* ms=(\d+)/.exec(event)!.slice(1)), [
    ["TOUCH", "11"],
    ["LONG", "12"],
  ]);
});

Deno.test("the last 128 slow requests are remembered", async () => {
  const { server, logAfter } = slowServer();
  for (let i = 0; i < 150; i++) await logAfter(`LONG ${100 + i}`);
  const { slow } = server.services.metrics;
  assertEquals([slow.count, slow.last.length], [150, 128]);
  assertEquals([slow.last[0]!.milliseconds, slow.last.at(-1)!.milliseconds], [122, 249]);
});
