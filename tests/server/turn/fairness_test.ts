/**
 * Round-robin service: with more clients than Deno reads at a time, nobody is served twice while others wait. The
 * sockets have no network, and the time is the test's own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import count from "../../../commands/count.ts";
import { Connection } from "../../../server/connections/connection.ts";
import { WrongPasswords } from "../../../server/dispatch/wrong_passwords.ts";
import { RoundRobin } from "../../../server/turn/fairness.ts";
import { Turn } from "../../../server/turn/turn.ts";
import { ManualTime } from "../../support/clock.ts";
import { contextWith } from "../../support/context.ts";
import { MemorySocket, until } from "../../support/memory_socket.ts";

/** How many sockets Deno reads at a time. */
const FULL = 128;
/** How many timers of a millisecond the others may wait for idle clients, at most. */
const QUIET_TIMERS_MAX = 50;

Deno.test("clients that fit in one turn do not wait", () => {
  const roundRobin = new RoundRobin({ connections: FULL });
  assertEquals(roundRobin.next(), undefined);
  roundRobin.countTurn(FULL);
  assertEquals(roundRobin.next(), undefined);
});

Deno.test("with too many for one turn, nobody who was served reads again before a turn is not full", async () => {
  const { time, serve, endTurn } = crowdOf(1_000);
  const waits = serve(FULL);
  for (let i = 0; i < 5; i++) {
    endTurn(FULL);
    waits.push(...serve(FULL));
    assertEquals(await overOf(waits), 0, `turn ${i}`);
  }
  endTurn(FULL - 1);
  assert(await overOf(waits) > 0);
  assert(time.fireAll() <= QUIET_TIMERS_MAX);
});

Deno.test("after each turn that is not full, those who were served first read again, and no more than fit", async () => {
  const { time, serve, endTurn } = crowdOf(1_000);
  const waits = Array.from({ length: 5 }, () => {
    endTurn(FULL);
    return serve(FULL);
  }).flat();
  let before = 0;
  while (before < waits.length) {
    endTurn(FULL - 1);
    const over = await overOf(waits);
    assert(over > before && over - before < FULL, `${over} after ${before}`);
    assert(waits.slice(0, over).every(({ isOver }) => isOver), "the first of them first");
    before = over;
  }
  assert(time.fireAll() <= QUIET_TIMERS_MAX);
});

Deno.test("the replies of a turn leave before others read", async () => {
  const { time, serve, endTurn } = crowdOf(1_000);
  const waits = serve(FULL);
  endTurn(1, 1);
  assertEquals(await overOf(waits), 0);
  time.tick();
  assert(await overOf(waits) > 0);
  assert(time.fireAll() <= QUIET_TIMERS_MAX);
});

Deno.test("where those who may read are idle, all others read after a while", async () => {
  const { time, serve, endTurn } = crowdOf(1_000);
  endTurn(FULL);
  const waits = serve(3 * FULL);
  for (let fired = 0; await overOf(waits) === 0; fired++) {
    assert(time.fire());
    assert(fired <= QUIET_TIMERS_MAX);
  }
  assertEquals(await overOf(waits), waits.length);
  assertEquals(time.waiting, 0);
});

Deno.test("a turn during a quiet spell keeps the others waiting", async () => {
  const { time, roundRobin, serve } = crowdOf(1_000);
  roundRobin.countTurn(FULL);
  serve(1);
  const quietTimers = time.fireAll();
  const waits = serve(FULL);
  for (let i = 0; i < 5; i++) {
    roundRobin.countTurn(FULL);
    for (let fired = 1; fired < quietTimers; fired++) assert(time.fire());
    assertEquals(await overOf(waits), 0);
  }
  assert(time.fire());
  assertEquals(await overOf(waits), FULL);
});

Deno.test("a client whose turn was not full does not wait, however many are idle", () => {
  const { roundRobin } = crowdOf(1_000);
  for (let i = 0; i < 5; i++) {
    roundRobin.countTurn(1);
    assertEquals(roundRobin.next(), undefined);
  }
});

Deno.test(
  "a client is read from again when the others have had their turn",
  async () => {
    const time = new ManualTime();
    const services = contextWith({ count });
    services.metrics.connections = 300;
    const turn = new Turn({ ...services, onFatal: () => {}, time });
    const limits = { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60 };
    const wrongPasswords = new WrongPasswords(time);
    const connect = () => {
      const socket = new MemorySocket();
      return {
        socket,
        served: new Connection(socket, { services, turn, limits, wrongPasswords }).serve(),
      };
    };
    const first = Array.from({ length: FULL }, connect);
    const last = connect();
    for (const { socket } of first) socket.send("COUNT\r\n", "COUNT\r\n");
    for (const { socket } of first) assertEquals(await socket.reply(), "200 OK 0\r\n");
    for (const { socket } of first) assertEquals(socket.unread, 1);
    last.socket.send("COUNT\r\n");
    assertEquals(await last.socket.reply(), "200 OK 0\r\n");
    let areServed = false;
    const replies = Promise.all(first.map(({ socket }) => socket.reply()));
    replies.then(() => areServed = true);
    await until(() => {
      time.tick();
      return areServed;
    });
    assertEquals(await replies, first.map(() => "200 OK 0\r\n"));
    time.fireAll();
    for (const { socket } of [...first, last]) socket.finish();
    await Promise.all([...first, last].map(({ served }) => served));
  },
);

/** A client that waits. */
interface Wait {
  isOver: boolean;
}

/** So many clients, in a time of their own. */
function crowdOf(connections: number) {
  const time = new ManualTime();
  const roundRobin = new RoundRobin({ connections }, time);
  return {
    time,
    roundRobin,
    /** Some have been served. */
    serve: (clients: number): Wait[] =>
      Array.from({ length: clients }, () => {
        const wait = { isOver: false };
        roundRobin.next()!.then(() => wait.isOver = true);
        return wait;
      }),
    /** A turn ends, and then so many turns of the event loop. */
    endTurn: (clients: number, ticks = 2) => {
      roundRobin.countTurn(clients);
      for (let tick = 0; tick < ticks; tick++) time.tick();
    },
  };
}

/** How many no longer wait. */
async function overOf(waits: readonly Wait[]): Promise<number> {
  await until(() => true);
  return waits.filter(({ isOver }) => isOver).length;
}
