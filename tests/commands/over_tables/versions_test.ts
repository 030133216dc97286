/**
 * Versions: they grow with every change, and none is given twice, not even after a restart.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import add from "../../../commands/add.ts";
import cas from "../../../commands/cas.ts";
import clear from "../../../commands/clear.ts";
import del from "../../../commands/delete.ts";
import expire from "../../../commands/expire.ts";
import get from "../../../commands/get.ts";
import gets from "../../../commands/gets.ts";
import incr from "../../../commands/incr.ts";
import persist from "../../../commands/persist.ts";
import put from "../../../commands/put.ts";
import { overTables } from "../../support/session.ts";

const test = overTables({ add, cas, clear, delete: del, expire, get, gets, incr, persist, put });

test("versions grow with every change, and none is given twice, even over a restart", async (session) => {
  const versions: number[] = [];
  const change = async (line: string, key: string) => {
    assertMatch(await session.ask(line), /^200 OK/);
    versions.push(await session.versionOf(key));
  };
  await change("PUT a 1", "a");
  await change("PUT a 1", "a");
  await change("PUT b 1", "b");
  await change("INCR a", "a");
  await session.ask("DELETE a");
  await change("ADD a 1", "a");
  await session.ask("CLEAR");
  await change("PUT a 1", "a");
  session.restart();
  await change("PUT c 1", "c");
  await change(`CAS c ${versions.at(-1)} 2`, "c");
  assertEquals(versions, [...new Set(versions)].toSorted((a, b) => a - b));
});

test(
  "the version of a deleted key is not given again after a restart",
  async (session) => {
    await session.expect(["PUT a 1", "200 OK"]);
    const version = await session.versionOf("a");
    await session.expect(["DELETE a", "200 OK"]);
    session.restart();
    await session.expect(["PUT a 2", "200 OK"]);
    assert(await session.versionOf("a") > version);
    await session.expect([`CAS a ${version} 3`, "409 CONFLICT the key has another version"]);
  },
);

test(
  "a key keeps its version while only its expiry, or another key, changes",
  async (session) => {
    await session.expect(["PUT a 1", "200 OK"]);
    const version = await session.versionOf("a");
    await session.expect(["EXPIRE a 60", "200 OK"], ["PERSIST a", "200 OK"], ["PUT b 1", "200 OK"]);
    await session.expect(["ADD a 2", "409 CONFLICT the key has a value"], ["GET a", "200 OK 1"]);
    assertEquals(await session.versionOf("a"), version);
    const reply = await session.ask(`CAS a ${version}  two `);
    assertEquals(
      reply,
      `200 OK ${await session.versionOf("a")}`,
      "it returns the version that GETS names",
    );
    await session.expect(["GET a", "200 OK  two "]);
  },
);
