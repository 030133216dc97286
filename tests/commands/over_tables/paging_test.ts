/**
 * KEYS: every key once, page by page, while keys come and go.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import del from "../../../commands/delete.ts";
import expire from "../../../commands/expire.ts";
import keys from "../../../commands/keys.ts";
import put from "../../../commands/put.ts";
import { overTables } from "../../support/session.ts";

/** Keys of more than two pages. */
const KEYS_BY_PAGES = 2_500;

const test = overTables({ delete: del, expire, keys, put });

test(
  "KEYS lists every key once, page by page, in the order of code points",
  async (session) => {
    const signs = ["a", "Z", "é", "€", "\uffee", "\u{1f5dd}", "0", "~"];
    const keys = Array.from(
      { length: KEYS_BY_PAGES },
      (_, i) => `k${signs[i % 8]}${(i * 7_919) % 2_503}`,
    );
    for (const key of keys) {
      session.table.put(key, "1");
    }
    session.table.put("j", "1");
    session.table.put("l", "1");
    session.table.commit();
    const found: string[] = [];
    const ends: string[] = [];
    for (let after = ""; ends.length < 4;) {
      const lines = (await session.ask(`KEYS k ${after}`)).split("\n");
      const page = lines.slice(0, -1).map((line) => line.replace(/^200-/, ""));
      found.push(...page);
      ends.push(lines.at(-1)!);
      if (!lines.at(-1)!.endsWith("more")) break;
      after = page.at(-1)!;
    }
    assertEquals(ends, ["200 OK 1000 more", "200 OK 1000 more", "200 OK 500"]);
    assertEquals(found, keys.toSorted(compareBytes));
  },
);

test("KEYS says that there are more keys only if there are", async (session) => {
  for (let i = 0; i < 1_000; i++) session.table.put(`k${i}`, "1");
  assertMatch(await session.ask("KEYS"), /\n200 OK 1000$/);
  await session.expect(["PUT k1000 1", "200 OK"]);
  assertMatch(await session.ask("KEYS"), /\n200 OK 1000 more$/);
  await session.expect(["EXPIRE k0 1", "200 OK"]);
  session.wait(1);
  assertMatch(await session.ask("KEYS"), /\n200 OK 1000$/);
});

test(
  "KEYS continues after a key that has been deleted, and sees new ones",
  async (session) => {
    for (const key of ["a", "b", "d", "e"]) await session.expect([`PUT x${key} 1`, "200 OK"]);
    await session.expect(["DELETE xb", "200 OK"], ["PUT xc 1", "200 OK"]);
    await session.expect(
      ["KEYS x xb", "200-xc\n200-xd\n200-xe\n200 OK 3"],
      ["KEYS x a", "200-xa\n200-xc\n200-xd\n200-xe\n200 OK 4"],
      ["KEYS x y", "200 OK 0"],
      ["KEYS xe xe", "200 OK 0"],
    );
  },
);

test("KEYS takes every character of a prefix literally", async (session) => {
  for (const key of ["a%b", "a_b", "axb", "a*b", "A%B", "a"]) {
    await session.expect([`PUT ${key} 1`, "200 OK"]);
  }
  await session.expect(
    ["KEYS a%", "200-a%b\n200 OK 1"],
    ["KEYS a_", "200-a_b\n200 OK 1"],
    ["KEYS a*", "200-a*b\n200 OK 1"],
    ["KEYS A", "200-A%B\n200 OK 1"],
    ["KEYS \u{10ffff}", "200 OK 0"],
  );
});

/** Compares as UTF-8, which has the order of code points. */
function compareBytes(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => new TextEncoder().encode(text));
  const at = x!.findIndex((byte, i) => byte !== y![i]);
  return at < 0 ? x!.length - y!.length : x![at]! - (y![at] ?? -1);
}
