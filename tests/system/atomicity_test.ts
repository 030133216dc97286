/**
 * What fifty clients at once may rely on: each operation is atomic, so that counters lose no step and locks
 * made of ADD or CAS hold.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { ServerProcess, testServer } from "../support/harness.ts";

const CLIENTS = 50;

testServer("50 clients that each add 1,000 to one key with INCR make it 50,000", async () => {
  await using server = await ServerProcess.start();
  const highest = await Promise.all(Array.from({ length: CLIENTS }, async () => {
    using client = await server.connect();
    let last = 0;
    for (let round = 0; round < 10; round++) {
      await client.send("INCR counter\r\n".repeat(100));
      for (let i = 0; i < 100; i++) {
        const value = Number(/^200 OK (\d+)$/.exec(await client.line() ?? "")?.[1]);
        assert(value > last, "each client sees it grow");
        last = value;
      }
    }
    return last;
  }));
  using client = await server.connect();
  assertEquals(await client.ask("GET counter"), "200 OK 50000");
  assertEquals(Math.max(...highest), 50_000);
});

testServer("a lock made of ADD, EXPIRE and DELETE holds under 50 clients", async () => {
  await takeTurns({
    async lock(client, name) {
      while (await client.ask(`ADD lock ${name}`) !== "200 OK") await pause();
      assertEquals(await client.ask("EXPIRE lock 60"), "200 OK");
    },
    unlock: (client) => client.ask("DELETE lock"),
  });
});

testServer("a lock made of GETS and CAS holds under 50 clients", async () => {
  await takeTurns({
    before: ["PUT lock nobody"],
    async lock(client, name) {
      for (;;) {
        const reply = await client.ask("GETS lock") ?? "";
        const [, version, holder] = /^200 OK (\d+) (.*)$/.exec(reply) ?? [];
        assert(version !== undefined);
        const isFree = holder === "nobody";
        if (isFree && /^200/.test(await client.ask(`CAS lock ${version} ${name}`) ?? "")) return;
        await pause();
      }
    },
    unlock: (client) => client.ask("PUT lock nobody"),
  });
});

/** A lock, and what must be stored before its first use. */
interface Lock {
  readonly before?: readonly string[];
  lock(client: Client, name: string): Promise<void>;
  unlock(client: Client): Promise<string | undefined>;
}

/**
 * Has each of 50 clients take the lock, read a number, write the next one and let go, a few times. If two
 * ever held the lock at a time, a step would be lost.
 */
async function takeTurns({ before = [], lock, unlock }: Lock): Promise<void> {
  const rounds = 4;
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using first = await server.connect();
  for (const line of ["PUT number 0", ...before]) assertEquals(await first.ask(line), "200 OK");
  await Promise.all(Array.from({ length: CLIENTS }, async (_, c) => {
    using client = await server.connect();
    for (let round = 0; round < rounds; round++) {
      await lock(client, `client${c}`);
      const number = Number((await client.ask("GET number"))?.slice("200 OK ".length));
      assertEquals(await client.ask(`PUT number ${number + 1}`), "200 OK");
      assertEquals(await unlock(client), "200 OK");
    }
  }));
  assertEquals(await first.ask("GET number"), `200 OK ${CLIENTS * rounds}`);
}

/** A moment before the next try, not the same for all. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1 + 20 * Math.random()));
}
