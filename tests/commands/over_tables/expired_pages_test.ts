/**
 * KEYS among keys that have expired: a page may end early, and says so.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import keys from "../../../commands/keys.ts";
import { Line } from "../../../server/input/line.ts";
import type { Reply } from "../../../server/reply.ts";
import { MemoryTable } from "../../../tables/memory_table.ts";
import { answer } from "../../support/answer.ts";
import { contextWith } from "../../support/context.ts";

Deno.test("KEYS says that there are more where a page ends early among expired keys", () => {
  let now = 0;
  const table = new MemoryTable({ now: () => now });
  for (let i = 0; i < 10_001; i++) table.put(`a${i}`, "value", { expiresAt: 1 });
  for (const key of ["Z", "b", "c"]) table.put(key, "value");
  table.commit();
  now = 1;
  const context = contextWith({ keys }, { table });
  const ask = (line: string) => (answer(Line.of(line), context) as Reply).wire.trimEnd();
  assertEquals(ask("KEYS"), "200-Z\r\n200 OK 1 more");
  assertEquals(ask("KEYS * Z"), "200 OK 0 more");
  assertEquals(ask("KEYS a"), "200 OK 0 more");
  assertEquals(ask("KEYS * a9999"), "200-b\r\n200-c\r\n200 OK 2");
  table.maintain();
  assertEquals(ask("KEYS * Z"), "200-b\r\n200-c\r\n200 OK 2");
  assertEquals(ask("KEYS a"), "200 OK 0");
});
