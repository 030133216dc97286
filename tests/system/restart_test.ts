/**
 * The table on disk as a server has it: what the next start finds, after a stop or a kill, and who may start.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runServer, ServerProcess } from "../support/harness.ts";
import { putLarge, SLOT_BYTES, slotsIn, testWithFolder } from "../support/data_folder.ts";
import { eventually, figureOf } from "../support/waiting.ts";

testWithFolder("a restart finds everything, except what has expired meanwhile", async (data) => {
  const values = ["plain", "  spaces  ", 'tab\tand "quotes" \\', "\u{1f600}", "x".repeat(100_000)];
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    for (const [i, value] of values.entries()) {
      assertEquals(await client.ask(`PUT key-${i} ${value}`), "200 OK");
    }
    for (const key of ["deleted", "ends", "stays"]) await client.ask(`PUT ${key} value`);
    assertEquals(await client.ask("DELETE deleted"), "200 OK");
    assertEquals(await client.ask("EXPIRE ends 0.001"), "200 OK");
    assertEquals(await client.ask("EXPIRE stays 1000"), "200 OK");
    assertEquals((await server.stop()).code, 0);
  }
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  for (const [i, value] of values.entries()) {
    assertEquals(await client.ask(`GET key-${i}`), `200 OK ${value}`);
  }
  assertEquals(await client.ask("GET deleted"), "404 NOT FOUND");
  assertEquals(await client.ask("GET ends"), "404 NOT FOUND");
  assertMatch((await client.ask("TTL stays"))!, /^200 OK 9\d\d/);
  assertEquals(await client.ask("COUNT"), `200 OK ${values.length + 1}`);
});

testWithFolder(
  "the log has room for turns to come before the first one, after a start and after a kill",
  async (data) => {
    for (let start = 0; start < 2; start++) {
      await using server = await ServerProcess.start({ data });
      assertEquals(slotsIn(data), 3);
      // Not a hole in the file: a full disk must show before a turn needs the room.
      const { blocks } = Deno.statSync(`${data}/keyline.log`);
      assert(blocks! * 512 >= 3 * SLOT_BYTES, `${blocks} blocks`);
      await server.stop("SIGKILL");
    }
  },
);

testWithFolder(
  "a second server refuses a folder in use and names the process that has it",
  async (data) => {
    await using server = await ServerProcess.start({ data });
    const { code, stderr } = await runServer(["--port", "0", "--data", data]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, `Cannot open the table in ${data}: process ${server.pid}, since `);
    assertEquals(stderr.trim().split("\n").length, 1, "more than one line");
    using client = await server.connect();
    assertEquals(await client.ask("PUT key value"), "200 OK");
  },
);

testWithFolder(
  "a second server is refused also where keyline.lock was removed under the first",
  async (data) => {
    await using server = await ServerProcess.start({ data });
    Deno.removeSync(`${data}/keyline.lock`);
    for (let start = 0; start < 2; start++) {
      const { code, stderr } = await runServer(["--port", "0", "--data", data]);
      assertEquals(code, 1);
      assertMatch(stderr, /^Keyline: Cannot open the table in .* is using it\. [^\n]*\n$/);
    }
    using client = await server.connect();
    assertEquals(await client.ask("PUT key value"), "200 OK");
    assertEquals((await server.stop()).code, 0);
    await using next = await ServerProcess.start({ data });
    using again = await next.connect();
    assertEquals(await again.ask("GET key"), "200 OK value");
  },
);

testWithFolder("a killed server leaves the folder free for the next one", async (data) => {
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("PUT key value"), "200 OK");
    await server.stop("SIGKILL");
  }
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  assertEquals(await client.ask("GET key"), "200 OK value");
});

testWithFolder(
  "CLEAR survives a kill, and the room that it leaves is given back in time",
  async (data) => {
    let slots: number;
    {
      await using server = await ServerProcess.start({ data });
      using client = await server.connect();
      await putLarge(client, 1_600);
      // Before CLEAR, because the room may be given back at once.
      slots = slotsIn(data);
      assert(slots >= 20, `the log has ${slots} slots: there is nothing to give back`);
      assertEquals(await client.ask("CLEAR"), "200 OK");
      assertEquals(await client.ask("PUT new value"), "200 OK");
      await server.stop("SIGKILL");
    }
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("COUNT"), "200 OK 1");
    assertEquals(await client.ask("GET large-0"), "404 NOT FOUND");
    assertEquals(await client.ask("GET new"), "200 OK value");
    // Some segments are kept in any case; once there are more, those at the end of the file are given up.
    for (let i = 0; i < 10; i++) await putLarge(client, 50);
    await eventually("the log is short again", () => slotsIn(data) <= slots / 2);
    assertEquals(await client.ask("GET new"), "200 OK value");
    assertEquals(await client.ask("COUNT"), "200 OK 51");
  },
);

testWithFolder("values that do not fit in memory are read from the log", async (data) => {
  await using server = await ServerProcess.start({ data, args: ["--cache", "1"] });
  using client = await server.connect();
  const valueOf = (i: number) => `value-${i} `.repeat(10_000);
  for (let i = 0; i < 100; i++) {
    assertEquals(await client.ask(`PUT k-${i} ${valueOf(i)}`), "200 OK");
  }
  for (let i = 0; i < 100; i++) {
    assertEquals(await client.ask(`GET k-${i}`), `200 OK ${valueOf(i)}`);
  }
  assert((await figureOf(client, "cache_misses"))! > 50);
  assert((await figureOf(client, "table_bytes"))! < 4 * 1_048_576);
});
