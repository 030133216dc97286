/**
 * The table on disk as a server has it: what the next start finds, after a stop, a kill, or an older version.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { runServer, ServerProcess } from "../support/harness.ts";
import { putLarge, testWithFolder, withServer } from "../support/data_folder.ts";
import { eventually } from "../support/waiting.ts";

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

testWithFolder("a server that has just started has a log of its full size", async (data) => {
  const sizes = () => [0, 1].map((i) => Deno.statSync(`${data}/keyline.log.${i}`).size / 1_048_576);
  await using server = await ServerProcess.start({ data });
  assertEquals(sizes(), [16, 16]);
  await server.stop("SIGKILL");
  await using again = await ServerProcess.start({ data });
  assertEquals(sizes(), [16, 16]);
  await again.stop();
});

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
  "CLEAR survives a kill, and the rows that it leaves are removed in time",
  async (data) => {
    {
      await using server = await ServerProcess.start({ data });
      using client = await server.connect();
      await putLarge(client, 400);
      assert(entriesIn(data).rows > 0, "everything was in the log: there was nothing to remove");
      assertEquals(await client.ask("CLEAR"), "200 OK");
      assertEquals(await client.ask("PUT new value"), "200 OK");
      await server.stop("SIGKILL");
    }
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    assertEquals(await client.ask("COUNT"), "200 OK 1");
    assertEquals(await client.ask("GET large-0"), "404 NOT FOUND");
    assertEquals(await client.ask("GET new"), "200 OK value");
    await eventually("the rows are removed", () => entriesIn(data).rows === 0);
    assertEquals(await client.ask("GET new"), "200 OK value");
  },
);

/** The table that Keyline 0.1.0 wrote: rows, a log in the rows' file, a CLEAR, and keys that expire. */
const FIXTURE_OF_0_1_0 = new URL("../fixtures/table_of_0.1.0.db.gz", import.meta.url);

testWithFolder("a folder of 0.1.0 is taken over with all that it holds", async (data) => {
  const file = await Deno.open(FIXTURE_OF_0_1_0);
  const unzipped = file.readable.pipeThrough(new DecompressionStream("gzip"));
  await Deno.writeFile(`${data}/keyline.db`, unzipped);
  for (let start = 0; start < 2; start++) {
    await withServer(data, async (client) => {
      assertEquals(await client.ask("COUNT"), `200 OK ${OF_0_1_0.count + start}`);
      for (const [line, reply] of OF_0_1_0.talk) assertEquals(await client.ask(line), reply, line);
      assertMatch((await client.ask("TTL expires"))!, /^200 OK [1-9]\d{9}/);
      const version = Number(
        (await client.ask(`ADD new-${start} x`),
          await client.ask(
            `GETS new-${start}`,
          ))!.split(" ")[2],
      );
      assert(version > OF_0_1_0.version, "a version was given twice");
    });
  }
});

/** What that folder holds. */
const OF_0_1_0 = {
  count: 1_204,
  version: 2_597,
  talk: [
    ["GET before-clear", "404 NOT FOUND"],
    ["GET row-0", "200 OK value of row 0, changed since"],
    ["GET row-1", "200 OK value of row 1"],
    ["GET row-1199", "200 OK value of row 1199"],
    ["GET deleted", "404 NOT FOUND"],
    ["GET caf\u00e9", "200 OK \u{1f600}  two  spaces\t"],
    ["GET counter", "200 OK 41"],
  ] as const,
};

/** The rows in a data folder, including those that a CLEAR has left, read beside the server. */
function entriesIn(data: string): { rows: number } {
  const db = new DatabaseSync(`${data}/keyline.db`, { readOnly: true });
  const { count } = db.prepare("SELECT count(*) AS count FROM entries").get()!;
  db.close();
  return { rows: count as number };
}
