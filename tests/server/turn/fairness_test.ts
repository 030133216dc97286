/**
 * Rounds: with more clients than Deno reads at a time, nobody is served twice while others wait. The
 * sockets have no network, and the timers are the test's own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import count from "../../../commands/count.ts";
import { Connection } from "../../../server/connections/connection.ts";
import { Rounds } from "../../../server/turn/fairness.ts";
import { Turn } from "../../../server/turn/turn.ts";
import { contextWith } from "../../support/context.ts";
import { MemorySocket, until } from "../../support/memory_socket.ts";

/** How many sockets Deno reads at a time. */
const FULL = 128;
/** How many timers of a millisecond a round may wait for idle clients, at most. */
const QUIET_TIMERS_MAX = 50;

Deno.test("clients that fit in one turn do not wait", () => {
  const rounds = new Rounds({ connections: FULL });
  assertEquals(rounds.next(), undefined);
  rounds.countTurn(FULL);
  assertEquals(rounds.next(), undefined);
});

Deno.test("with too many for one turn, each client waits until a turn is not full", async () => {
  await withTimers(async () => {
    const rounds = new Rounds({ connections: 1_000 });
    const round = watch(rounds.next());
    for (let i = 0; i < 5; i++) {
      rounds.countTurn(FULL);
      assertEquals(await round.isOver(), false, `turn ${i}`);
      assert(
        await watch(rounds.next()).isOver() === false,
        "a later client waits for the same round",
      );
    }
    rounds.countTurn(FULL - 1);
    assertEquals(await round.isOver(), true);
  });
});

Deno.test("with too many for one turn, nobody waits once each client has had its turn", async () => {
  await withTimers(async () => {
    const rounds = new Rounds({ connections: 3 * FULL });
    const round = watch(rounds.next());
    for (const expected of [false, false, true]) {
      rounds.countTurn(FULL);
      assertEquals(await round.isOver(), expected);
    }
    const next = watch(rounds.next());
    rounds.countTurn(FULL);
    assertEquals(await next.isOver(), false, "and the next round is like the first");
    rounds.countTurn(1);
  });
});

Deno.test("idle clients are waited for once in a while, and not for long", async () => {
  await withTimers(async (timers) => {
    const rounds = new Rounds({ connections: FULL + 10 });
    const waited: number[] = [];
    for (let i = 0; i < 160; i++) {
      const round = watch(rounds.next());
      rounds.countTurn(FULL);
      if (!await round.isOver()) waited.push(i);
      assert(timers.fireAll() <= QUIET_TIMERS_MAX);
      assertEquals(await round.isOver(), true);
    }
    assertEquals(waited[0], 0, "at first nobody knows that they are idle");
    assert(waited.length > 1, "later they may not be idle any more");
    assert(waited.length < 10, `${waited.length} of 160 rounds waited for them`);
  });
});

Deno.test("a turn during a quiet spell keeps the round going", async () => {
  await withTimers(async (timers) => {
    const first = new Rounds({ connections: 1_000 });
    first.next();
    first.countTurn(FULL);
    const quietTimers = timers.fireAll();
    const rounds = new Rounds({ connections: 1_000 });
    const round = watch(rounds.next());
    for (let i = 0; i < 5; i++) {
      rounds.countTurn(FULL);
      for (let fired = 1; fired < quietTimers; fired++) assert(timers.fire());
      assertEquals(await round.isOver(), false);
    }
    assert(timers.fire());
    assertEquals(await round.isOver(), true);
  });
});

Deno.test("a client whose turn was not full does not wait, however many are idle", () => {
  const rounds = new Rounds({ connections: 1_000 });
  for (let i = 0; i < 5; i++) {
    rounds.countTurn(1);
    assertEquals(rounds.next(), undefined);
  }
});

Deno.test("a round ends by itself, also where a full turn was the last", async () => {
  await withTimers(async (timers) => {
    const rounds = new Rounds({ connections: 1_000 });
    for (const countsTurn of [true, false]) {
      if (countsTurn) rounds.countTurn(FULL);
      const round = watch(rounds.next());
      assertEquals(await round.isOver(), false);
      assert(timers.fireAll() <= QUIET_TIMERS_MAX);
      assertEquals(await round.isOver(), true);
    }
  });
});

Deno.test(
  "a client is read from again when the others have had their turn",
  async () => {
    await withTimers(async (timers) => {
      const services = contextWith({ count });
      services.metrics.connections = 300;
      const turn = new Turn({ ...services, onFatal: () => {} });
      const limits = { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60 };
      const connect = () => {
        const socket = new MemorySocket();
        return { socket, served: new Connection(socket, { services, turn, limits }).serve() };
      };
      const first = Array.from({ length: FULL }, connect);
      const last = connect();
      for (const { socket } of first) socket.send("COUNT\r\n", "COUNT\r\n");
      for (const { socket } of first) assertEquals(await socket.reply(), "200 OK 0\r\n");
      for (const { socket } of first) assertEquals(socket.unread, 1);
      last.socket.send("COUNT\r\n");
      assertEquals(await last.socket.reply(), "200 OK 0\r\n");
      for (const { socket } of first) assertEquals(await socket.reply(), "200 OK 0\r\n");
      timers.fireAll();
      for (const { socket } of [...first, last]) socket.finish();
      await Promise.all([...first, last].map(({ served }) => served));
    });
  },
);

/** Whether a wait is over by now. */
function watch(wait: Promise<void> | undefined): { isOver: () => Promise<boolean> } {
  let isOver = wait === undefined;
  wait?.then(() => isOver = true);
  return { isOver: () => until(() => true).then(() => isOver) };
}

/** The timers of a test. */
interface Timers {
  /** Fires the one that was set first; false where there is none. */
  fire(): boolean;
  /** Fires until none is left; returns how many there were. */
  fireAll(): number;
}

/**
 * Runs a test whose timers fire when it says so, and never on their own. The clock is stopped, so that a
 * turn takes no time however busy the machine is: it would wait for a timer otherwise.
 */
async function withTimers(run: (timers: Timers) => Promise<void>): Promise<void> {
  const { setTimeout, clearTimeout } = globalThis;
  const { now } = performance;
  const waiting = new Map<number, () => void>();
  let id = 0;
  Object.assign(globalThis, {
    setTimeout: (callback: () => void) => {
      waiting.set(++id, callback);
      return id;
    },
    clearTimeout: (id: number) => waiting.delete(id),
  });
  const fire = () => {
    const [next] = waiting;
    if (next === undefined) return false;
    waiting.delete(next[0]);
    next[1]();
    return true;
  };
  const fireAll = () => {
    let count = 0;
    while (fire()) count++;
    return count;
  };
  performance.now = () => 0;
  try {
    await run({ fire, fireAll });
  } finally {
    performance.now = now;
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
}
