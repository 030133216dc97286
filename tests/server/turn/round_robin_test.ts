/**
 * Round-robin service: with more clients than Deno reads at a time, nobody is served twice while others wait.
 * The event loop is a model of Deno's: it completes 128 operations at a time, and takes up what was left in the
 * opposite order once nothing else is to be done. The sockets have no network, and the time is the test's own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import count from "../../../commands/count.ts";
import { Connection } from "../../../server/connections/connection.ts";
import { WrongPasswords } from "../../../server/dispatch/wrong_passwords.ts";
import { RoundRobin } from "../../../server/turn/round_robin.ts";
import { Turn } from "../../../server/turn/turn.ts";
import { ManualTime } from "../../support/clock.ts";
import { contextWith } from "../../support/context.ts";
import { MemorySocket, until } from "../../support/memory_socket.ts";

/** How many operations Deno completes at a time. */
const FULL = 128;
/** For how many timers of a millisecond the others may wait for idle clients, at most. */
const QUIET_TIMERS_MAX = 10;

Deno.test("clients that Deno reads at a time do not wait", () => {
  const time = new ManualTime();
  const roundRobin = new RoundRobin({ connections: FULL }, time);
  for (let i = 0; i < 5; i++) {
    for (let j = 0; j < 2 * FULL; j++) roundRobin.count();
    roundRobin.countTurn();
    time.tick();
    assertEquals(roundRobin.next(), undefined);
  }
});

Deno.test("a lone client among many that are idle does not wait", async () => {
  const loop = new Loop();
  const [client] = loop.connect(1);
  loop.connect(1_000, { requests: 0 });
  await loop.run(() => client!.served >= 20);
  assertEquals([loop.waits, loop.firedTimers], [0, 0]);
});

for (const clients of [200, 1_000, 5_000]) {
  Deno.test(`${clients} busy clients are served equally often`, async () => {
    const loop = new Loop();
    const all = loop.connect(clients);
    await loop.run(() => sum(all) >= 2 * clients);
    const before = all.map(({ served }) => served);
    loop.firedTimers = 0;
    await loop.run(() => sum(all) >= 10 * clients);
    assertServedAlike(all, before);
    assert(loop.firedTimers <= QUIET_TIMERS_MAX, `${loop.firedTimers} timers`);
  });

  Deno.test(`few of ${clients} busy clients read at a time`, async () => {
    const loop = new Loop();
    const all = loop.connect(clients);
    await loop.run(() => sum(all) >= 5 * clients);
    loop.tries = loop.completed = 0;
    await loop.run(() => sum(all) >= 10 * clients);
    assert(loop.tries < 3 * loop.completed, `${loop.tries} for ${loop.completed}`);
  });
}

Deno.test("between two cohorts of clients that read, Deno looks at all sockets", async () => {
  const loop = new Loop();
  const all = loop.connect(1_000);
  await loop.run(() => sum(all) >= 5_000);
  loop.looks = 0;
  await loop.run(() => sum(all) >= 10_000);
  assert(loop.looks >= 5_000 / (2 * FULL), `${loop.looks} looks`);
});

Deno.test("clients that take no replies, send nothing or leave delay nobody", async () => {
  const loop = new Loop();
  const busy = loop.connect(400);
  const slow = loop.connect(400, { takesReplies: false });
  loop.connect(400, { requests: 0 });
  loop.connect(400, { requests: 1 });
  loop.connect(400, { requests: 2, leaves: true });
  await loop.run(() => sum(busy) >= 1_200);
  const before = busy.map(({ served }) => served);
  await loop.run(() => sum(busy) >= 8_000);
  assertServedAlike(busy, before);
  assertEquals(slow.map(({ served }) => served), slow.map(() => 1));
  assert(loop.firedTimers <= 5 * QUIET_TIMERS_MAX, `${loop.firedTimers} timers`);
});

Deno.test("new clients that come all the time delay nobody for long", async () => {
  const loop = new Loop();
  const all = loop.connect(500);
  const before = all.map(({ served }) => served);
  const some = { requests: 1, leaves: true };
  await loop.run(() => sum(all) >= 5_000, () => void loop.connect(FULL / 8, some));
  assertServedAlike(all, before);
});

Deno.test("those who wait read some time, however much is done for others meanwhile", async () => {
  for (const operations of [2 * FULL, 10]) {
    const time = new ManualTime();
    const roundRobin = new RoundRobin({ connections: 1_000 }, time);
    const work = (count: number) => {
      for (let i = 0; i < count; i++) roundRobin.count();
      roundRobin.countTurn();
      time.tick();
    };
    work(FULL);
    let isOver = false;
    roundRobin.next()!.then(() => isOver = true);
    for (let ticks = 0; !isOver; ticks++) {
      work(operations);
      await until(() => true);
      assert(ticks <= 2 * 1_000 / operations, `${ticks} ticks`);
    }
  }
});

Deno.test("those who wait read once Deno has looked at all sockets, and new clients after them", async () => {
  const time = new ManualTime();
  const roundRobin = new RoundRobin({ connections: 1_000 }, time);
  const endTick = (operations: number) => {
    for (let i = 0; i < operations; i++) roundRobin.count();
    time.tick();
    return until(() => true);
  };
  let isOver = false;
  await endTick(FULL);
  roundRobin.next()!.then(() => isOver = true);
  await endTick(FULL - 1);
  assertEquals(isOver, false, "what was left over is not taken up before that");
  await endTick(0);
  assertEquals(isOver, false);
  for (let i = 1; i < 2 * FULL; i++) roundRobin.next();
  await endTick(FULL - 1);
  assertEquals(isOver, true);
  assert(roundRobin.next() !== undefined, "others still wait");
});

Deno.test("where those who may read are idle, all others read after a while", async () => {
  const loop = new Loop();
  const all = loop.connect(1_000, { requests: 3 });
  await loop.run(() => sum(all) === 3_000);
  await loop.run(() => loop.isIdle);
  assertEquals(loop.reading, 1_000);
  assertEquals(loop.time.waiting, 0);
});

Deno.test("a client is read from again when the others have had their turn", async () => {
  const { time, connect } = serverOf(300);
  const first = Array.from({ length: FULL }, connect);
  const last = connect();
  for (const { socket } of first) socket.send("COUNT\r\n", "COUNT\r\n");
  for (const { socket } of first) assertEquals(await socket.reply(), "200 OK 0\r\n");
  time.tick();
  last.socket.send("COUNT\r\n");
  assertEquals(await last.socket.reply(), "200 OK 0\r\n");
  let areServed = false;
  const replies = Promise.all(first.map(({ socket }) => socket.reply())).finally(() =>
    areServed = true
  );
  await until(() => {
    time.tick();
    time.fire();
    return areServed;
  });
  assertEquals(await replies, first.map(() => "200 OK 0\r\n"));
  for (const { socket } of [...first, last]) socket.finish();
  await until(() => {
    time.tick();
    return !time.fire();
  });
  await Promise.all([...first, last].map(({ served }) => served));
});

Deno.test("a connection counts its reads and its writes", async () => {
  const { turn, connect } = serverOf(300);
  let counted = 0;
  turn.count = () => void counted++;
  const { socket, served } = connect();
  socket.send("COUNT\r\n");
  await socket.reply();
  await until(() => true);
  assertEquals(counted, 2);
  socket.finish();
  await served;
  assertEquals(counted, 3, "the end is a read, too");
});

for (const ending of ["end", "close"] as const) {
  Deno.test(`a client that waits for others reads nothing after ${ending}()`, async () => {
    const { time, turn, connect } = serverOf(300);
    for (let i = 0; i < FULL; i++) turn.count();
    time.tick();
    const { socket, connection, served } = connect();
    socket.send("COUNT\r\n");
    await until(() => true);
    assertEquals(socket.unread, 1, "it waits");
    const ended = connection[ending]();
    let isServed = false;
    served.then(() => isServed = true);
    socket.finish();
    await until(() => {
      time.tick();
      time.fire();
      return isServed;
    });
    await ended;
    assertEquals([socket.take(), socket.isClosed], ["", true]);
  });
}

/** What a client of the model does. */
interface Habits {
  /** How many requests it sends, one after another. */
  readonly requests?: number;
  readonly takesReplies?: boolean;
  /** Whether it leaves after them. */
  readonly leaves?: boolean;
}

/** A client of the model. */
interface Client {
  served: number;
}

/** A read or a write that has not ended. */
interface Operation {
  isReady(): boolean;
  end(): void;
}

/** It knows whether something is to be called back in the next turn of the event loop. */
class CountingTime extends ManualTime {
  ticks = 0;

  override afterTick(callback: () => void): void {
    this.ticks++;
    super.afterTick(() => {
      this.ticks--;
      callback();
    });
  }
}

/** A model of Deno's event loop, with a server and clients. */
class Loop {
  readonly time = new CountingTime();
  /** How many times a client had to wait before it could read. */
  waits = 0;
  /** How often an operation was tried, and how many were completed. */
  tries = 0;
  completed = 0;
  /** How often it has looked at all sockets. */
  looks = 0;
  firedTimers = 0;
  /** How many clients wait for bytes. */
  reading = 0;
  /** Whether nothing goes on. */
  isIdle = false;
  readonly #metrics = { connections: 0 };
  readonly #roundRobin = new RoundRobin(this.#metrics, this.time);
  #budget = FULL;
  /** What clients have sent and it has not seen. */
  readonly #sent: (() => void)[] = [];
  #woken: Operation[] = [];
  #deferred: Operation[] = [];
  #blocked: Operation[] = [];
  #turn: PromiseWithResolvers<void> | undefined;

  connect(count: number, habits: Habits = {}): Client[] {
    return Array.from({ length: count }, () => {
      const client = { served: 0 };
      this.#metrics.connections++;
      this.#serve(client, habits);
      return client;
    });
  }

  async run(isOver: () => boolean, inEachTurn = () => {}): Promise<void> {
    for (let i = 0; !isOver(); i++) {
      assert(i < 20_000, "it never ends");
      inEachTurn();
      await this.#poll();
      await this.#poll();
      await this.#enter(() => this.time.tick());
      if (this.#woken.length === 0 && this.time.ticks === 0) await this.#look();
    }
  }

  /** Tries what has been woken, and what is new and could not be completed at once. */
  #poll(): Promise<void> {
    return this.#enter(() => {
      for (const operation of this.#woken.splice(0)) {
        this.#try(operation, this.#deferred);
      }
    });
  }

  /** Runs the program until it waits; it can complete so many operations meanwhile. */
  async #enter(start: () => void): Promise<void> {
    this.#budget = FULL;
    start();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #try(operation: Operation, leftOver: Operation[]): void {
    this.tries++;
    if (this.#budget === 0) leftOver.push(operation);
    else if (!operation.isReady()) this.#blocked.push(operation);
    else {
      this.#budget--;
      this.completed++;
      operation.end();
    }
  }

  /**
   * Sees what clients have sent. What it could not complete it takes up in the opposite order, behind what
   * has become ready.
   */
  async #look(): Promise<void> {
    this.looks++;
    for (const send of this.#sent.splice(0)) send();
    this.#woken = [...this.#blocked.filter((o) => o.isReady()), ...this.#deferred.reverse()];
    this.#blocked = this.#blocked.filter((o) => !o.isReady());
    this.#deferred = [];
    if (this.#woken.length > 0) return;
    await this.#enter(() => {
      if (this.time.fire()) this.firedTimers++;
      else this.isIdle = true;
    });
  }

  async #serve(client: Client, { requests = Infinity, takesReplies = true, leaves }: Habits) {
    let left = requests;
    let hasSent = false;
    const send = () => hasSent = left > 0 || leaves === true;
    this.#sent.push(send);
    for (;;) {
      const others = this.#roundRobin.next();
      if (others !== undefined) {
        this.waits++;
        await others;
      }
      this.reading++;
      await this.#end(() => hasSent);
      this.reading--;
      this.#roundRobin.count();
      if (left-- === 0) break;
      hasSent = false;
      await this.#join();
      client.served++;
      this.#end(() => takesReplies).then(() => {
        this.#sent.push(send);
        this.#roundRobin.count();
      });
    }
    this.#metrics.connections--;
  }

  #end(isReady: () => boolean): Promise<void> {
    return new Promise((end) => this.#try({ isReady, end }, this.#woken));
  }

  #join(): Promise<void> {
    if (this.#turn === undefined) {
      const turn = this.#turn = Promise.withResolvers();
      queueMicrotask(() => {
        this.#turn = undefined;
        this.#roundRobin.countTurn();
        turn.resolve();
      });
    }
    return this.#turn.promise;
  }
}

/** How often clients were served together. */
function sum(clients: readonly Client[]): number {
  return clients.reduce((total, { served }) => total + served, 0);
}

/** Fails where one client has been served more often than another by two or more since then. */
function assertServedAlike(clients: readonly Client[], before: readonly number[]): void {
  const served = clients.map((client, i) => client.served - before[i]!);
  const [least, most] = [Math.min(...served), Math.max(...served)];
  assert(most - least <= 1, `from ${least} to ${most} times`);
}

/** A server that has so many clients. */
function serverOf(connections: number) {
  const time = new ManualTime();
  const services = contextWith({ count });
  services.metrics.connections = connections;
  const turn = new Turn({ ...services, onFatal: () => {}, time });
  const limits = { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60 };
  const wrongPasswords = new WrongPasswords(time);
  const connect = () => {
    const socket = new MemorySocket();
    const connection = new Connection(socket, { services, turn, limits, wrongPasswords });
    return { socket, connection, served: connection.serve() };
  };
  return { time, turn, connect };
}
