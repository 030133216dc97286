/**
 * CLEAR in a loop: however often it comes, what is on disk and what a start has to do stay bounded, and
 * others lose nothing by it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { SLOT_BYTES } from "../support/data_folder.ts";
import { ServerProcess, testServer } from "../support/harness.ts";

const CLEARS = 1_000;
/** Together they would fill a log of 100 MB. */
const VALUE = "v".repeat(100_000);
/** What the folder of an empty table may take, beside what it takes from the start, in bytes. */
const GROWTH_BYTES_MAX = 5 * SLOT_BYTES;

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
      // At once: what a start has to read must not depend on how long the server had for what is left.
      await server.stop("SIGKILL");
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
  const lines = `PUT k ${VALUE}\nCLEAR\n`;
  const atOnce = isPipelined ? 100 : 1;
  for (let i = 0; i < CLEARS; i += atOnce) {
    await client.send(lines.repeat(atOnce));
    for (let reply = 0; reply < 2 * atOnce; reply++) assertEquals(await client.line(), "200 OK");
  }
}

/** How much the files of a folder hold, in bytes. */
function bytesOf(folder: string): number {
  return [...Deno.readDirSync(folder)]
    .reduce((sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size, 0);
}
