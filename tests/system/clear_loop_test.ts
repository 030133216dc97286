/**
 * CLEAR in a loop: however often it comes, what is on disk and what a start has to do stay bounded, and
 * others lose nothing by it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { Client } from "../support/client.ts";
import { ServerProcess, testServer } from "../support/harness.ts";

const CLEARS = 2_000;
/** What the folder of an empty table may take, beside what it takes from the start, in bytes. */
const GROWTH_BYTES_MAX = 8_388_608;
/** What the schema of an SQLite file may hold, if there is one: tables and their indexes. */
const SCHEMA_ROWS_MAX = 50;

for (const isPipelined of [false, true]) {
  const how = isPipelined ? "many at once" : "one by one";
  testServer(
    `any number of CLEARs leaves no more on disk than one, ${how}`,
    async () => {
      await using server = await ServerProcess.start();
      let before: number;
      {
        // Without a pause: a server has the least time for its own work then.
        using client = await server.connect();
        assertEquals(await client.ask("CLEAR"), "200 OK");
        before = bytesOf(server.data);
        await clear(client, { isPipelined });
      }
      using other = await server.connect();
      assertEquals(await other.ask("PUT kept v"), "200 OK");
      assertEquals(await other.ask("COUNT"), "200 OK 1");
      // At once: what a start has to do must not depend on how long the server had for what is left.
      await server.stop("SIGKILL");
      const rows = schemaRows(server.data);
      assert(rows <= SCHEMA_ROWS_MAX, `a start has ${rows} rows of a schema to read`);
      const growth = bytesOf(server.data) - before;
      assert(growth <= GROWTH_BYTES_MAX, `${growth} bytes are left`);
      await using again = await ServerProcess.start({ data: server.data });
      using late = await again.connect();
      assertEquals(await late.ask("GET kept"), "200 OK v");
      assertEquals(await late.ask("COUNT"), "200 OK 1");
    },
  );
}

/** Sends the CLEARs, each with a PUT before it, so that each has something to remove. */
async function clear(client: Client, { isPipelined }: { isPipelined: boolean }): Promise<void> {
  const lines = "PUT k v\nCLEAR\n";
  if (isPipelined) await client.send(lines.repeat(CLEARS));
  for (let i = 0; i < CLEARS; i++) {
    if (!isPipelined) await client.send(lines);
    assertEquals(await client.line(), "200 OK");
    assertEquals(await client.line(), "200 OK");
  }
}

/** How many tables and indexes the SQLite file of a folder has; 0 where there is none. */
function schemaRows(data: string): number {
  const file = `${data}/keyline.db`;
  if (![...Deno.readDirSync(data)].some(({ name }) => name === "keyline.db")) return 0;
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db.prepare("SELECT count(*) AS count FROM sqlite_schema").get()!.count as number;
  } finally {
    db.close();
  }
}

/** How much the files of a folder hold, in bytes. */
function bytesOf(folder: string): number {
  return [...Deno.readDirSync(folder)]
    .reduce((sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size, 0);
}
