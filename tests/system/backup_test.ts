/**
 * `--backup FILE`: a copy that is of one moment, made beside a server that is being written to, and
 * restored by a start on it.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Client } from "../support/client.ts";
import { runServer, ServerProcess, tempFolder, testServer } from "../support/harness.ts";

/** Clients that write while the copy is made. */
const WRITERS = 4;
/** Rows of 100 KB that make the copy take a while. */
const LARGE_ROWS = 300;

/** A test with a folder for all its files, and a table in its folder `data`. */
function backupTest(name: string, fn: (folder: string) => Promise<void>): void {
  testServer(name, async () => {
    const folder = tempFolder();
    try {
      await fn(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

backupTest(
  "a copy made while clients write is of one moment, and a server starts on it",
  async (folder) => {
    const data = `${folder}/data`;
    const copy = `${folder}/copy.db`;
    await using server = await ServerProcess.start({ data });
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => server.connect()));
    await putLarge(clients[0]!);
    let isDone = false;
    const rounds = clients.map((client, own) => writePairs(client, { own, until: () => isDone }));
    await Promise.all(rounds.map(({ begun }) => begun));
    const before = rounds.map(({ written }) => written.count);
    assertEquals(await backUp(data, copy), { code: 0, stderr: "" });
    const after = rounds.map(({ written }) => written.count);
    isDone = true;
    await Promise.all(rounds.map(({ ended }) => ended));
    clients.forEach((client) => client[Symbol.dispose]());
    await withRestored(copy, async (client) => {
      for (let own = 0; own < WRITERS; own++) {
        const first = Number((await client.ask(`GET first-${own}`))!.slice("200 OK ".length));
        const second = Number((await client.ask(`GET second-${own}`))!.slice("200 OK ".length));
        assert(first >= before[own]! && first <= after[own]! + 1, `${first} is of another time`);
        assert(
          first === second || first === second + 1,
          `${first} and ${second} never were at once`,
        );
      }
      assertEquals(await client.ask("COUNT"), `200 OK ${LARGE_ROWS + 2 * WRITERS}`);
      assertEquals((await client.ask(`GET large-${LARGE_ROWS - 1}`))!.length, 100_000 + 7);
      assertEquals(await client.ask("PUT new value"), "200 OK");
    });
    assert(after.some((count, own) => count > before[own]!), "nothing was written meanwhile");
  },
);

backupTest(
  "a table without a server is copied, too, whether the server stopped or was killed",
  async (folder) => {
    const data = `${folder}/data`;
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await using server = await ServerProcess.start({ data });
      using client = await server.connect();
      assertEquals(await client.ask(`PUT key ${signal}`), "200 OK");
      await server.stop(signal);
      const copy = `${folder}/${signal}.db`;
      assertEquals(await backUp(data, copy), { code: 0, stderr: "" });
      await withRestored(copy, async (client) => {
        assertEquals(await client.ask("GET key"), `200 OK ${signal}`);
      });
    }
  },
);

backupTest("an existing file is never overwritten", async (folder) => {
  const data = `${folder}/data`;
  const copy = `${folder}/copy.db`;
  await using _server = await ServerProcess.start({ data });
  Deno.writeTextFileSync(copy, "Dear diary,");
  const { code, stderr } = await backUp(data, copy);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Keyline: Cannot back up ${data}/keyline.db to ${copy}: `);
  assertStringIncludes(stderr, "exists");
  assertEquals(Deno.readTextFileSync(copy), "Dear diary,");
});

backupTest("a copy that can't be made says why and leaves no file", async (folder) => {
  const data = `${folder}/data`;
  const copy = `${folder}/copy.db`;
  const missing = await backUp(data, copy);
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.stderr, `Keyline: Cannot back up ${data}/keyline.db to ${copy}: `);
  assertStringIncludes(missing.stderr, "No such file");
  Deno.mkdirSync(data);
  Deno.writeTextFileSync(`${data}/keyline.db`, "Dear diary,\n".repeat(500));
  const noTable = await backUp(data, copy);
  assertEquals(noTable.code, 1);
  assertStringIncludes(noTable.stderr, `Keyline: Cannot back up ${data}/keyline.db to ${copy}: `);
  const noFolder = await backUp(data, `${folder}/none/copy.db`);
  assertEquals(noFolder.code, 1);
  assertStringIncludes(noFolder.stderr, `${folder}/none/copy.db`);
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["data"]);
});

async function backUp(data: string, file: string): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await runServer(["--data", data, "--backup", file]);
  return { code, stderr };
}

/** Starts a server on a copy, put as the table into an empty folder. */
async function withRestored(copy: string, fn: (client: Client) => Promise<void>): Promise<void> {
  const data = tempFolder();
  Deno.copyFileSync(copy, `${data}/keyline.db`);
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    await fn(client);
  }
  Deno.removeSync(data, { recursive: true });
}

/** Sets one key and then another to the next number, again and again, each after the last is stored. */
function writePairs(client: Client, { own, until }: { own: number; until: () => boolean }) {
  const begun = Promise.withResolvers<void>();
  const written = { count: 0 };
  const ended = (async () => {
    while (!until()) {
      const next = written.count + 1;
      for (const key of [`first-${own}`, `second-${own}`]) {
        assertEquals(await client.ask(`PUT ${key} ${next}`), "200 OK");
      }
      written.count = next;
      begun.resolve();
    }
  })();
  return { begun: begun.promise, written, ended };
}

async function putLarge(client: Client): Promise<void> {
  const value = "x".repeat(100_000);
  for (let i = 0; i < LARGE_ROWS; i++) {
    assertEquals(await client.ask(`PUT large-${i} ${value}`), "200 OK");
  }
}
