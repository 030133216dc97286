/**
 * The slice of time that all clients share: who must wait, for how long, and that nobody waits who need not.
 * The time is the test's own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Listener } from "../../server/connections/listener.ts";
import { TimeSlice } from "../../server/time_slice.ts";
import { Turn } from "../../server/turn/turn.ts";
import { ManualTime } from "../support/clock.ts";
import { commandOf, MemoryServer } from "../support/memory_server.ts";
import { okLines } from "../../server/reply.ts";
import { settled } from "../support/memory_socket.ts";

/** Longer than a slice, in milliseconds. */
const LONG = 20;

Deno.test("a slice is full before it is used up, and then the next one waits for the event loop", async () => {
  const time = new ManualTime();
  const slice = new TimeSlice(time);
  slice.begin(time.now());
  const full = advanceUntil(time, () => (slice.end(time.now()), slice.isFull));
  assertEquals(slice.isUsedUp(time.now()), false, "a turn that has begun may go on");
  assert(full < advanceUntil(time, () => slice.isUsedUp(time.now())) + full);
  let hasNext = false;
  slice.next().then(() => hasNext = true);
  await settled();
  assertEquals([hasNext, time.waiting], [false, 1]);
  slice.next();
  assertEquals(time.waiting, 1, "all wait for the same moment");
  time.fire();
  await settled();
  assertEquals([hasNext, slice.isFull, slice.isUsedUp(time.now())], [true, false, false]);
});

Deno.test("nobody waits where the event loop goes on by itself", () => {
  const time = new ManualTime();
  const slice = new TimeSlice(time);
  slice.begin(time.now());
  time.ms += LONG;
  slice.end(time.now());
  assertEquals(slice.isFull, true);
  time.tick();
  assertEquals([slice.isFull, slice.isUsedUp(time.now()), time.waiting], [false, false, 0]);
});

Deno.test("time without work uses up no slice", () => {
  const time = new ManualTime();
  const slice = new TimeSlice(time);
  time.ms += 1_000;
  slice.begin(time.now());
  assertEquals(slice.isUsedUp(time.now()), false);
  slice.end(time.now());
  assertEquals(slice.isFull, false);
});

Deno.test("turns of one client after another use up the same slice", async () => {
  const time = new ManualTime();
  const server = new MemoryServer({ time });
  const { socket, served } = server.connect();
  time.msPerLook = 1;
  socket.send(...Array(100).fill("COUNT\n"));
  await settled();
  const read = 100 - socket.unread;
  assert(read > 0 && read < 20, `${read} packets are read in one slice`);
  for (let slices = 1; socket.unread > 0; slices++) {
    assertEquals(time.fireAll(), 1, "it waits for the event loop");
    await settled();
    assert(slices < 100);
  }
  socket.finish();
  time.msPerLook = 0;
  time.fireAll();
  await served;
  assertEquals(socket.take(), "200 OK 0\r\n".repeat(100));
});

Deno.test("packets that complete no line use up the slice, before and after the password", async () => {
  for (const options of [{}, { isPassword: () => false }]) {
    for (const packet of ["x", Uint8Array.of(0xff, 0xf1), Uint8Array.of(0xff, 0xfd, 0x06)]) {
      const time = new ManualTime();
      const { socket, connection, served } = new MemoryServer({ ...options, time }).connect();
      time.msPerLook = 1;
      socket.send(...Array(100).fill(packet));
      await settled();
      assert(socket.unread > 80, `${100 - socket.unread} packets are read in one slice`);
      assertEquals(time.waiting, 1);
      connection.close();
      time.fireAll();
      await served;
    }
  }
});

Deno.test("a packet of many lines is answered in several slices, and so is each costly reply", async () => {
  const page = commandOf(() => okLines(Array(100).fill("x".repeat(20))), []);
  for (const [line, most] of [["COUNT", 500], ["\u0080", 500], ["PAGE", 20]] as const) {
    const time = new ManualTime();
    const server = new MemoryServer({ time, commands: { page } });
    const { socket, served } = server.connect();
    const other = server.connect();
    time.msPerLook = 1;
    const bytes = line === "\u0080" ? "\x80\n" : `${line}\n`;
    socket.send(Uint8Array.from(bytes.repeat(1_000), (c) => c.charCodeAt(0)));
    await settled();
    const lines = () => socket.take().split(/^\d{3} /m).length - 1;
    let answered = lines();
    assert(answered > 0 && answered <= most, `${answered} of ${line}`);
    other.socket.send("COUNT\n");
    for (let slices = 0; slices < 3; slices++) {
      time.fireAll();
      await settled();
    }
    assertEquals(other.socket.take(), "200 OK 0\r\n", "another client is served meanwhile");
    answered += lines();
    for (let slices = 0; answered < 1_000; slices++) {
      time.fireAll();
      await settled();
      const now = lines();
      assert(now <= most, `${now} of ${line}`);
      answered += now;
      assert(slices < 1_000);
    }
    for (const client of [socket, other.socket]) client.finish();
    time.msPerLook = 0;
    while (time.fireAll() > 0) await settled();
    await Promise.all([served, other.served]);
  }
});

Deno.test("what a client sends after QUIT uses up the slice", async () => {
  const time = new ManualTime();
  const { socket, connection, served } = new MemoryServer({ time }).connect();
  time.msPerLook = 1;
  socket.send("QUIT\n", ...Array(100).fill("x"));
  await settled();
  assert(socket.unread > 80, `${100 - socket.unread} packets are read in one slice`);
  assertEquals(time.waiting, 1);
  connection.close();
  time.fireAll();
  await served;
});

Deno.test("clients that come without a pause use up the slice", async () => {
  const time = new ManualTime();
  const server = new MemoryServer({ time });
  const turn = new Turn({ ...server, metrics: server.services.metrics, onFatal: () => {}, time });
  let accepted = 0;
  let isClosed = false;
  const socket = {
    accept() {
      if (isClosed) throw new Deno.errors.BadResource();
      accepted++;
      return Promise.reject(new Deno.errors.ConnectionAborted());
    },
    close: () => isClosed = true,
  };
  const listener = new Listener({ hostname: "127.0.0.1", port: 0 }, {
    services: server.services,
    turn,
    limits: { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60, connectionsMax: 10 },
    listen: () => socket as unknown as Deno.Listener,
  });
  time.msPerLook = 1;
  await settled();
  assert(accepted > 0 && accepted < 20, `${accepted} are accepted in one slice`);
  assertEquals(time.waiting, 1);
  const drained = listener.drain();
  await settled();
  isClosed = true;
  time.fireAll();
  await drained;
});

/** Lets time pass until a condition holds; returns how long that took, in milliseconds. */
function advanceUntil(time: ManualTime, holds: () => boolean): number {
  const startedAt = time.ms;
  while (!holds()) {
    time.ms++;
    assert(time.ms - startedAt < 1_000);
  }
  return time.ms - startedAt;
}
