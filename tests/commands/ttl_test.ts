/**
 * TTL: the time that a key has left.
 *
 * @module
 */

import { assertMatch } from "@std/assert";
import expire from "../../commands/expire.ts";
import put from "../../commands/put.ts";
import ttl from "../../commands/ttl.ts";
import { answer } from "../../server/dispatch/gate.ts";
import { Line } from "../../server/input/line.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { contextWith } from "../support/context.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ ttl, expire, put }, [
  {
    name: "TTL returns the seconds that a key has left",
    send: ["PUT a 1", "EXPIRE a 100000.5", "TTL a"],
    expect: ["200 OK", "200 OK", "200 OK <number>"],
  },
  {
    name: "TTL of a key that does not end is none",
    send: ["PUT a 1", "TTL a"],
    expect: ["200 OK", "200 OK none"],
  },
  {
    name: "TTL of a key without a value is 404",
    send: ["TTL a"],
    expect: ["404 NOT FOUND"],
  },
]);

Deno.test("TTL is never 0 or less, even if time passes while it is answered", async () => {
  let time = 1_700_000_000_000;
  const tick = () => time++;
  const context = contextWith({ expire, put, ttl }, { table: new MemoryTable(tick), now: tick });
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
