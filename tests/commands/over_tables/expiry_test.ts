/**
 * Expiry: when a key is gone, what changes its time, and that a restart keeps it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import add from "../../../commands/add.ts";
import cas from "../../../commands/cas.ts";
import clear from "../../../commands/clear.ts";
import count from "../../../commands/count.ts";
import del from "../../../commands/delete.ts";
import expire from "../../../commands/expire.ts";
import get from "../../../commands/get.ts";
import gets from "../../../commands/gets.ts";
import incr from "../../../commands/incr.ts";
import keys from "../../../commands/keys.ts";
import persist from "../../../commands/persist.ts";
import put from "../../../commands/put.ts";
import ttl from "../../../commands/ttl.ts";
import { answer } from "../../support/answer.ts";
import { Line } from "../../../server/input/line.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { contextWith } from "../../support/context.ts";
import { overTables } from "../../support/session.ts";

const test = overTables({
  add,
  cas,
  clear,
  count,
  delete: del,
  expire,
  get,
  gets,
  incr,
  keys,
  persist,
  put,
  ttl,
});

test("a key expires at its millisecond, and TTL counts down to it", async (session) => {
  await session.expect(["PUT a 1", "200 OK"], ["EXPIRE a 60", "200 OK"], ["TTL a", "200 OK 60"]);
  session.wait(59.5);
  await session.expect(["TTL a", "200 OK 0.5"], ["GET a", "200 OK 1"]);
  session.wait(0.499);
  await session.expect(["TTL a", "200 OK 0.001"], ["GET a", "200 OK 1"]);
  session.wait(0.001);
  await session.expect(["TTL a", "404 NOT FOUND"], ["GET a", "404 NOT FOUND"]);
});

test("an expired key is absent for every operation", async (session) => {
  const keys = ["get", "gets", "ttl", "persist", "expire", "cas", "delete", "add", "incr", "put"];
  for (const key of keys) {
    await session.expect([`PUT ${key} 7`, "200 OK"], [`EXPIRE ${key} 1`, "200 OK"]);
  }
  await session.expect(["COUNT", "200 OK 10"]);
  session.wait(1);
  await session.expect(
    ["COUNT", "200 OK 0"],
    ["KEYS", "200 OK 0"],
    ["GET get", "404 NOT FOUND"],
    ["GETS gets", "404 NOT FOUND"],
    ["TTL ttl", "404 NOT FOUND"],
    ["PERSIST persist", "404 NOT FOUND"],
    ["EXPIRE expire 60", "404 NOT FOUND"],
    ["CAS cas 1 x", "404 NOT FOUND"],
    ["DELETE delete", "200 OK"],
    ["COUNT", "200 OK 0"],
    ["ADD add new", "200 OK"],
    ["INCR incr", "200 OK 1"],
    ["PUT put new", "200 OK"],
    ["COUNT", "200 OK 3"],
    ["KEYS", "200-add\n200-incr\n200-put\n200 OK 3"],
  );
  for (const key of ["add", "incr", "put"]) await session.expect([`TTL ${key}`, "200 OK none"]);
});

test(
  "EXPIRE moves the time of expiry, earlier or later, and PERSIST removes it",
  async (session) => {
    await session.expect(["PUT a 1", "200 OK"], ["EXPIRE a 10", "200 OK"], [
      "EXPIRE a 100",
      "200 OK",
    ]);
    session.wait(50);
    await session.expect(["GET a", "200 OK 1"], ["EXPIRE a 2", "200 OK"], ["TTL a", "200 OK 2"]);
    await session.expect(["PERSIST a", "200 OK"], ["TTL a", "200 OK none"]);
    session.wait(1e9);
    await session.expect(["GET a", "200 OK 1"], ["COUNT", "200 OK 1"]);
  },
);

test("EXPIRE accepts fractions of a second, and any number of years", async (session) => {
  await session.expect(["PUT a 1", "200 OK"], ["EXPIRE a 0.001", "200 OK"], [
    "TTL a",
    "200 OK 0.001",
  ]);
  await session.expect(["EXPIRE a 1.5004", "200 OK"], ["TTL a", "200 OK 1.5"]);
  await session.expect(["EXPIRE a 007", "200 OK"], ["TTL a", "200 OK 7"]);
  await session.expect(["EXPIRE a 999999999999", "200 OK"], ["TTL a", "200 OK 999999999999"]);
  session.wait(1e10);
  await session.expect(["GET a", "200 OK 1"]);
});

test("PUT removes the time of expiry; INCR, CAS and a failed ADD keep it", async (session) => {
  for (const key of ["put", "incr", "cas", "add"]) {
    await session.expect([`PUT ${key} 1`, "200 OK"], [`EXPIRE ${key} 60`, "200 OK"]);
  }
  await session.expect(["PUT put 2", "200 OK"], ["INCR incr", "200 OK 2"]);
  await session.expect(["ADD add 2", "409 CONFLICT the key has a value"]);
  assertMatch(await session.ask(`CAS cas ${await session.versionOf("cas")} 2`), /^200 OK \d+$/);
  await session.expect(["TTL put", "200 OK none"]);
  for (const key of ["incr", "cas", "add"]) await session.expect([`TTL ${key}`, "200 OK 60"]);
  session.wait(60);
  await session.expect(["KEYS", "200-put\n200 OK 1"]);
});

test(
  "a key that was deleted and stored again does not expire when the old one would have",
  async (session) => {
    await session.expect(["PUT a 1", "200 OK"], ["EXPIRE a 60", "200 OK"], ["DELETE a", "200 OK"]);
    await session.expect(["ADD a 2", "200 OK"], ["PUT b 1", "200 OK"], ["EXPIRE b 60", "200 OK"]);
    await session.expect(["CLEAR", "200 OK"], ["PUT b 2", "200 OK"], ["PUT a 2", "200 OK"]);
    session.wait(100);
    await session.expect(["GET a", "200 OK 2"], ["GET b", "200 OK 2"], ["COUNT", "200 OK 2"]);
  },
);

test("keys keep their time of expiry over a restart, and expire while no server runs", async (session) => {
  await session.expect(["PUT a 1", "200 OK"], ["EXPIRE a 60", "200 OK"]);
  await session.expect(["PUT b 1", "200 OK"], ["EXPIRE b 10", "200 OK"], ["PUT c 1", "200 OK"]);
  session.wait(5);
  session.restart();
  await session.expect(["TTL a", "200 OK 55"], ["TTL b", "200 OK 5"], ["TTL c", "200 OK none"]);
  session.wait(5);
  session.restart();
  await session.expect(["GET b", "404 NOT FOUND"], ["KEYS", "200-a\n200-c\n200 OK 2"]);
});

test("expired keys are removed in steps that no client notices", async (session) => {
  const end = { expiresAt: session.now + 1_000 };
  for (let i = 0; i < 3_000; i++) session.table.put(`k${i}`, "1", i % 3 === 0 ? undefined : end);
  session.table.commit();
  session.restart();
  await session.expect(["COUNT", "200 OK 3000"]);
  session.wait(1);
  await session.expect(["COUNT", "200 OK 1000"]);
  let steps = 1;
  while (session.table.maintain()) {
    assert(++steps < 1_000, "the steps come to an end");
    // No restart here: what is removed from memory alone would come back from the log.
    const replies = [
      await session.peek("COUNT"),
      await session.peek("GET k1"),
      await session.peek("GET k3"),
    ];
    assertEquals(replies, ["200 OK 1000", "404 NOT FOUND", "200 OK 1"]);
    session.table.commit();
  }
  if (session.table instanceof MemoryTable) {
    assertEquals(steps, 3, "two steps of 1,000 keys, and one that finds none");
  }
  session.restart();
  await session.expect(["COUNT", "200 OK 1000"], ["ADD k1 2", "200 OK"], ["COUNT", "200 OK 1001"]);
});

Deno.test("TTL is never 0 or less, even if time passes while it is answered", async () => {
  let time = 1_700_000_000_000;
  const tick = () => time++;
  const context = contextWith({ expire, put, ttl }, {
    table: new MemoryTable({ now: tick }),
    now: tick,
  });
  const ask = async (line: string) => (await answer(Line.of(line), context)).wire;
  for (const seconds of [0.004, 0.005, 0.006, 0.007]) {
    await ask("PUT a 1");
    await ask(`EXPIRE a ${seconds}`);
    for (let reply = ""; !reply.startsWith("404");) {
      reply = await ask("TTL a");
      assertMatch(reply, /^(200 OK 0\.00[1-9]|404 NOT FOUND)\r\n$/);
    }
  }
});
