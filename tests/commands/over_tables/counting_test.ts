/**
 * INCR counts on 64-bit integers, and COUNT knows what each operation does to the number of keys.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import add from "../../../commands/add.ts";
import cas from "../../../commands/cas.ts";
import clear from "../../../commands/clear.ts";
import count from "../../../commands/count.ts";
import del from "../../../commands/delete.ts";
import expire from "../../../commands/expire.ts";
import get from "../../../commands/get.ts";
import incr from "../../../commands/incr.ts";
import persist from "../../../commands/persist.ts";
import put from "../../../commands/put.ts";
import { overTables } from "../../support/session.ts";

const test = overTables({ add, cas, clear, count, delete: del, expire, get, incr, persist, put });

test("INCR reaches every 64-bit integer, and goes past neither end", async (session) => {
  await session.expect(
    ["INCR a 9223372036854775807", "200 OK 9223372036854775807"],
    ["INCR a", "409 CONFLICT the value would overflow"],
    ["GET a", "200 OK 9223372036854775807"],
    ["INCR a -9223372036854775807", "200 OK 0"],
    ["INCR a -9223372036854775808", "200 OK -9223372036854775808"],
    ["INCR a -1", "409 CONFLICT the value would overflow"],
    ["INCR a 9223372036854775807", "200 OK -1"],
    ["INCR a 1", "200 OK 0"],
    ["INCR a 9007199254740993", "200 OK 9007199254740993"],
  );
});

test(
  "INCR counts on from what PUT stored, if that is an integer in decimal digits",
  async (session) => {
    const integers = [["41", "42"], ["-1", "0"], ["007", "8"], ["-0", "1"], ["0", "1"]] as const;
    for (const [value, next] of integers) {
      await session.expect([`PUT a ${value}`, "200 OK"], ["INCR a", `200 OK ${next}`]);
    }
    const others = [
      "1.0",
      "1e3",
      "0x10",
      "+1",
      "- 1",
      " 1",
      "1 ",
      "1\t",
      "١",
      "--1",
      "1n",
      "Infinity",
    ];
    for (const value of [...others, "9223372036854775808", "99999999999999999999"]) {
      await session.expect([`PUT a ${value}`, "200 OK"]);
      await session.expect(["INCR a", "409 CONFLICT the value is not a 64-bit integer"]);
      await session.expect(["GET a", `200 OK ${value}`]);
    }
  },
);

test("COUNT follows what each operation does to the number of keys", async (session) => {
  const counts: [line: string, count: number][] = [
    ["PUT a 1", 1],
    ["PUT a 2", 1],
    ["ADD a 1", 1],
    ["ADD b 1", 2],
    ["INCR c", 3],
    ["INCR c", 3],
    ["CAS z 1 1", 3],
    ["DELETE z", 3],
    ["DELETE a", 2],
    ["EXPIRE b 9", 2],
    ["PERSIST b", 2],
    ["CLEAR", 0],
    ["CLEAR", 0],
    ["PUT a 1", 1],
    ["DELETE a", 0],
  ];
  for (const [line, count] of counts) {
    await session.ask(line);
    assertEquals(await session.ask("COUNT"), `200 OK ${count}`, line);
  }
});
