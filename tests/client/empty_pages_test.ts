/**
 * Pages of keys that are empty although there are more: the client asks again.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { connect } from "../../client/client.ts";
import type { FakeClient } from "./fake_server.ts";
import { faultTest } from "./fault_scripts.ts";

/** Answers each line with the next of these replies; the lines are kept. */
function answerEach(replies: readonly string[], lines: string[]) {
  return async (client: FakeClient) => {
    await client.greet();
    for (const reply of replies) {
      lines.push((await client.line())!);
      await client.send(reply);
    }
    await client.line();
  };
}

const PAGES = [
  "200 OK 0 more\r\n",
  "200 OK 0 more\r\n",
  "200-a\r\n200-b\r\n200 OK 2 more\r\n",
  "200 OK 0 more\r\n",
  "200-c\r\n200 OK 1\r\n",
];

const all: string[] = [];
faultTest("an empty page with more is asked for again, and no key is left out", [
  answerEach(PAGES, all),
], async (server) => {
  await using db = await connect({ port: server.port });
  assertEquals(await Array.fromAsync(db.keys()), ["a", "b", "c"]);
  assertEquals(all, ["KEYS *", "KEYS *", "KEYS *", "KEYS * b", "KEYS * b"]);
});

const some: string[] = [];
faultTest("an empty page within a range is asked for again from where it began", [
  answerEach(["200 OK 0 more\r\n", "200 OK 0\r\n"], some),
], async (server) => {
  await using db = await connect({ port: server.port });
  assertEquals(await Array.fromAsync(db.keys("user:", { after: "user:7" })), []);
  assertEquals(some, ["KEYS user: user:7", "KEYS user: user:7"]);
});
