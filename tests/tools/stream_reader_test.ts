/**
 * How a source waits for another server, and for how long.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { StreamReader } from "../../tools/stream_reader.ts";
import { testServer } from "../support/harness.ts";
import { delay } from "../support/waiting.ts";
import { hear, say, startFake } from "./fake_source.ts";

/** How long a server may take in these tests, in milliseconds. */
const TIMEOUT_MS = 200;

function openReader(port: number, { isReadAhead = false } = {}): Promise<StreamReader> {
  const where = { name: "redis", hostname: "127.0.0.1", port, tls: false };
  return StreamReader.open({ ...where, timeout: TIMEOUT_MS, isReadAhead });
}

testServer("a server is not given up while nothing is read from it", async () => {
  await using server = startFake(async (conn) => {
    await say(conn, "one\r\n");
    await hear(conn, "two, please");
    await say(conn, "two\r\n");
    await hear(conn, "more than is said");
  });
  using reader = await openReader(server.port);
  assertEquals(await reader.line(), "one");
  // Meanwhile the values are stored elsewhere, which may take longer than any answer.
  await delay(TIMEOUT_MS * 3);
  reader.write("two, please");
  assertEquals(await reader.line(), "two");
});

testServer("a reader that reads ahead never lets the server wait", async () => {
  const line = `${"v".repeat(1_022)}\r\n`;
  const count = 32_768;
  const said = Promise.withResolvers<void>();
  await using server = startFake(async (conn) => {
    await say(conn, line.repeat(count));
    said.resolve();
    await hear(conn, "more than is said");
  });
  using reader = await openReader(server.port, { isReadAhead: true });
  // Nothing is read until all of it, more than any buffer on the way holds, is written.
  await said.promise;
  for (let i = 0; i < count; i++) assertEquals((await reader.line()).length, line.length - 2);
  await assertRejects(() => reader.line(), Error, "no answer");
});

testServer("a reader that reads ahead is told of the end", async () => {
  await using server = startFake(async (conn) => {
    await say(conn, "one\r\n");
    conn.closeWrite();
    await hear(conn, "more than is said");
  });
  using reader = await openReader(server.port, { isReadAhead: true });
  assertEquals(await reader.line(), "one");
  await assertRejects(() => reader.line(), Error, "it closed the connection");
});

testServer("a server that does not answer is given up", async () => {
  await using server = startFake((conn) => hear(conn, "more than is said"));
  using reader = await openReader(server.port);
  await assertRejects(
    () => reader.line(),
    Error,
    `The connection to redis is lost: no answer in ${TIMEOUT_MS / 1_000} s`,
  );
});
