/**
 * The listener: clients that leave before they are accepted keep nobody out, and only when the system has
 * nothing left for another client does the listener wait. The listening socket and the timers are the
 * test's own; real resets follow.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import count from "../../../commands/count.ts";
import { Listener } from "../../../server/connections/listener.ts";
import type { Metrics } from "../../../server/observe/metrics.ts";
import { Turn } from "../../../server/turn/turn.ts";
import { eventOf, ServerProcess, testWithProgram } from "../../support/harness.ts";
import { MemorySocket, until } from "../../support/memory_socket.ts";

/** Resets so many connections before a server is likely to accept them. */
const RESETS = 2_000;
const RESETTER = `
import socket, struct, sys
for _ in range(${RESETS}):
    s = socket.socket()
    s.connect(("127.0.0.1", int(sys.argv[1])))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
`;
import { contextWith } from "../../support/context.ts";

Deno.test("clients that left before they were accepted keep nobody waiting", async () => {
  const gone = () => systemError("ENOTCONN", new Deno.errors.NotConnected("not connected"));
  await withDoor(Array.from({ length: 600 }, gone), async ({ socket, waits, log }) => {
    socket.send("COUNT\r\n");
    assertEquals(await socket.reply(), "200 OK 0\r\n");
    assertEquals(waits, []);
    assertEquals(log, ["error Cannot accept a connection: not connected"]);
  });
});

for (const code of ["EMFILE", "ENFILE"]) {
  Deno.test(
    `the listener waits a moment if descriptors run out, ${code}`,
    async () => {
      const errors = [systemError(code, new Error("too many open files"))];
      await withDoor(errors, async ({ socket, waits, metrics }) => {
        await until(() => waits.length > 0);
        socket.send("COUNT\r\n");
        assertEquals(socket.unread, 1);
        assertEquals(metrics.acceptFailures, 1);
        waits[0]!();
        assertEquals(await socket.reply(), "200 OK 0\r\n");
        assertEquals(waits.length, 1);
      });
    },
  );
}

testWithProgram("python3", "two thousand resets keep no new client out", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using early = await server.connect();
  assertEquals(await early.ask("PUT k v"), "200 OK");
  const { success, stderr } = await new Deno.Command("python3", {
    args: ["-c", RESETTER, String(server.port)],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  // It gives up after ten seconds; one after the other, a tenth of a second each, would take minutes.
  using late = await server.connect();
  assertEquals(await late.ask("GET k"), "200 OK v");
  assertEquals(await early.ask("GET k"), "200 OK v");
  const lines = server.output.split("\n").filter((line) => line.includes("Cannot accept"));
  assert(lines.length < 20, `${lines.length} lines in the log`);
});

/** What a test sees: the client that comes after the errors, and what the listener did. */
interface Door {
  readonly socket: MemorySocket;
  /** What the listener waits for: calling one ends it. */
  readonly waits: (() => void)[];
  readonly log: string[];
  readonly metrics: Metrics;
}

/** A listener whose socket fails with these errors, one after the other, and then brings a client. */
async function withDoor(errors: Error[], run: (door: Door) => Promise<void>): Promise<void> {
  const services = contextWith({ count });
  const turn = new Turn({ ...services, onFatal: () => {} });
  const limits = { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60, connectionsMax: 10 };
  const socket = new MemorySocket();
  const waits: (() => void)[] = [];
  const log: string[] = [];
  const closed = Promise.withResolvers<Deno.Conn>();
  const clients = [socket];
  const listening = {
    addr: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
    accept: () => {
      const error = errors.shift();
      if (error !== undefined) return Promise.reject(error);
      const client = clients.shift();
      return client === undefined ? closed.promise : Promise.resolve(client);
    },
    close: () => closed.reject(new Deno.errors.BadResource()),
  };
  const { setTimeout } = globalThis;
  const { error } = console;
  console.error = (line: string) => log.push(eventOf(line));
  // A pause of a millisecond only gives way to others.
  const fake = (callback: () => void, ms: number) =>
    ms <= 1 ? setTimeout(callback, ms) : waits.push(callback);
  Object.assign(globalThis, { setTimeout: fake });
  const listener = new Listener({ hostname: "127.0.0.1", port: 0 }, {
    ...{ services, turn, limits },
    listen: () => listening as unknown as Deno.Listener,
  });
  try {
    await run({ socket, waits, log, metrics: services.metrics });
  } finally {
    Object.assign(globalThis, { setTimeout });
    console.error = error;
    socket.finish();
    await listener.drain();
  }
}

function systemError(code: string, error: Error): Error {
  return Object.assign(error, { code });
}
