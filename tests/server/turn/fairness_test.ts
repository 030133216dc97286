/**
 * Rounds: with more clients than Deno reads at a time, nobody is served twice while others wait. The
 * sockets have no network, and the time is the test's own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import count from "../../../commands/count.ts";
import { Connection } from "../../../server/connections/connection.ts";
import { WrongPasswords } from "../../../server/dispatch/wrong_passwords.ts";
import { Rounds } from "../../../server/turn/fairness.ts";
import { Turn } from "../../../server/turn/turn.ts";
import { ManualTime } from "../../support/clock.ts";
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
  const time = new ManualTime();
  const rounds = new Rounds({ connections: 1_000 }, time);
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

Deno.test("with too many for one turn, nobody waits once each client has had its turn", async () => {
  const time = new ManualTime();
  const rounds = new Rounds({ connections: 3 * FULL }, time);
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

Deno.test("idle clients are waited for once in a while, and not for long", async () => {
  const time = new ManualTime();
  const rounds = new Rounds({ connections: FULL + 10 }, time);
  const waited: number[] = [];
  for (let i = 0; i < 160; i++) {
    const round = watch(rounds.next());
    rounds.countTurn(FULL);
    if (!await round.isOver()) waited.push(i);
    assert(time.fireAll() <= QUIET_TIMERS_MAX);
    assertEquals(await round.isOver(), true);
  }
  assertEquals(waited[0], 0, "at first nobody knows that they are idle");
  assert(waited.length > 1, "later they may not be idle any more");
  assert(waited.length < 10, `${waited.length} of 160 rounds waited for them`);
});

Deno.test("a turn during a quiet spell keeps the round going", async () => {
  const time = new ManualTime();
  const first = new Rounds({ connections: 1_000 }, time);
  first.next();
  first.countTurn(FULL);
  const quietTimers = time.fireAll();
  const rounds = new Rounds({ connections: 1_000 }, time);
  const round = watch(rounds.next());
  for (let i = 0; i < 5; i++) {
    rounds.countTurn(FULL);
    for (let fired = 1; fired < quietTimers; fired++) assert(time.fire());
    assertEquals(await round.isOver(), false);
  }
  assert(time.fire());
  assertEquals(await round.isOver(), true);
});

Deno.test("a client whose turn was not full does not wait, however many are idle", () => {
  const rounds = new Rounds({ connections: 1_000 });
  for (let i = 0; i < 5; i++) {
    rounds.countTurn(1);
    assertEquals(rounds.next(), undefined);
  }
});

Deno.test("a round ends by itself, also where a full turn was the last", async () => {
  const time = new ManualTime();
  const rounds = new Rounds({ connections: 1_000 }, time);
  for (const countsTurn of [true, false]) {
    if (countsTurn) rounds.countTurn(FULL);
    const round = watch(rounds.next());
    assertEquals(await round.isOver(), false);
    assert(time.fireAll() <= QUIET_TIMERS_MAX);
    assertEquals(await round.isOver(), true);
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
    for (const { socket } of first) assertEquals(await socket.reply(), "200 OK 0\r\n");
    time.fireAll();
    for (const { socket } of [...first, last]) socket.finish();
    await Promise.all([...first, last].map(({ served }) => served));
  },
);

/** Whether a wait is over by now. */
function watch(wait: Promise<void> | undefined): { isOver: () => Promise<boolean> } {
  let isOver = wait === undefined;
  wait?.then(() => isOver = true);
  return { isOver: () => until(() => true).then(() => isOver) };
}
