/**
 * That a reply which is not the expected one is noticed.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { matches } from "./protocol_peer.ts";

Deno.test("matches tells expected lines from others", () => {
  const expect = ["200-<text>", "…", "200 OK <number>"];
  assertEquals(matches(["200-a", "200 OK 1"], expect), true);
  assertEquals(matches(["200-a", "200-b", "200-c", "200 OK -1.5"], expect), true);
  assertEquals(matches(["200-", "200 OK 1"], expect), false);
  assertEquals(matches(["200-a", "200 OK x"], expect), false);
  assertEquals(matches(["200-a", "200 OK 1", "200 OK"], expect), false);
  assertEquals(matches(["200-a"], expect), false);
  assertEquals(matches([], expect), false);
});
