/**
 * `keyline backup` and `keyline restore`: a copy that is of one moment, made beside a server that is being
 * written to, and a folder that is made of it. Neither overwrites anything, and what is cut short is not
 * taken for whole.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { atOnce, backUp, restore } from "../../tables/durable/copy.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { OpenError } from "../../tables/durable/errors.ts";
import type { Steps } from "../../tables/durable/inspection.ts";
import type { Client } from "../support/client.ts";
import { makeSmallTable, testWithFolder } from "../support/data_folder.ts";
import {
  ROOT,
  runServer,
  ServerProcess,
  tempFolder,
  testServer,
  testWithProgram,
} from "../support/harness.ts";
import { argumentsOf, runTool, startTool } from "../tools/tool.ts";

/** Clients that write while the copy is made. */
const WRITERS = 4;
/** Values of 100 KB that make the copy take a while. */
const LARGE_VALUES = 300;

testWithFolder(
  "a copy made while clients write is of one moment, and a server starts on it",
  async (folder) => {
    const data = `${folder}/data`;
    const copy = `${folder}/copy`;
    await using server = await ServerProcess.start({ data });
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => server.connect()));
    await putLarge(clients[0]!);
    let isDone = false;
    const rounds = clients.map((client, own) => writePairs(client, { own, until: () => isDone }));
    await Promise.all(rounds.map(({ begun }) => begun));
    const before = rounds.map(({ written }) => written.count);
    const { code, stderr } = await runTool("backup", { args: [copy, "--data", data] });
    const after = rounds.map(({ written }) => written.count);
    isDone = true;
    await Promise.all(rounds.map(({ ended }) => ended));
    clients.forEach((client) => client[Symbol.dispose]());
    assertEquals(code, 0, stderr);
    assertMatch(stderr, new RegExp(`^Copied 308 keys \\(32,[\\d,]+ bytes\\) from ${data} to `));
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
      assertEquals(await client.ask("COUNT"), `200 OK ${LARGE_VALUES + 2 * WRITERS}`);
      assertEquals((await client.ask(`GET large-${LARGE_VALUES - 1}`))!.length, 100_000 + 7);
      assertEquals(await client.ask("PUT new value"), "200 OK");
    });
    assert(after.some((count, own) => count > before[own]!), "nothing was written meanwhile");
  },
);

testWithFolder(
  "a table without a server is copied, too, whether the server stopped or was killed",
  async (folder) => {
    const data = `${folder}/data`;
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      await using server = await ServerProcess.start({ data });
      using client = await server.connect();
      assertEquals(await client.ask(`PUT key ${signal}`), "200 OK");
      await server.stop(signal);
      const copy = `${folder}/${signal}`;
      assertEquals((await runTool("backup", { args: [copy, "--data", data, "--quiet"] })).code, 0);
      await withRestored(copy, async (client) => {
        assertEquals(await client.ask("GET key"), `200 OK ${signal}`);
      });
    }
  },
);

for (const signal of ["SIGKILL", "SIGINT"] as const) {
  testWithFolder(
    `${signal} in the middle leaves no file under the name of the copy`,
    async (folder) => {
      const data = makeLargeTable(`${folder}/data`);
      const copy = `${folder}/copy`;
      const tool = startTool("backup", { args: [copy, "--data", data] });
      while (!namesIn(folder).includes("copy.new")) await new Promise((go) => setTimeout(go, 1));
      tool.child.kill(signal);
      const { code } = await tool.finish();
      assertEquals(code, signal === "SIGINT" ? 130 : 137);
      assertEquals(namesIn(folder), signal === "SIGINT" ? ["data"] : ["copy.new", "data"]);
      if (signal === "SIGKILL") {
        assertRefused(backUp(data, copy), `${copy}.new exists already: another copy is being made`);
        Deno.removeSync(`${copy}.new`);
      }
      assertEquals((await runTool("backup", { args: [copy, "--data", data] })).code, 0);
      assertEquals(namesIn(folder), ["copy", "data"]);
    },
  );
}

testWithProgram("strace", "a file system without links gets its copy all the same", async () => {
  const folder = tempFolder();
  const data = makeSmallTable(`${folder}/data`);
  const copy = `${folder}/copy`;
  const inject = ["-e", "trace=link,linkat", "-e", "inject=link,linkat:error=EPERM"];
  const run = () =>
    new Deno.Command("strace", {
      args: [
        ...["-f", "-o", `${folder}/trace`, ...inject, Deno.execPath()],
        ...[...argumentsOf("backup"), copy, "--data", data],
      ],
      cwd: ROOT.pathname,
    }).output();
  assertEquals((await run()).code, 0);
  assertStringIncludes(Deno.readTextFileSync(`${folder}/trace`), "INJECTED");
  assertEquals(atOnce(restore(copy, `${folder}/new`)).keys, 5_000);
  assertEquals((await run()).code, 1, "it overwrites nothing there either");
  assertEquals(namesIn(folder), ["copy", "data", "new", "trace"]);
  Deno.removeSync(folder, { recursive: true });
});

testServer("a wrong call says what is missing", async () => {
  for (const use of ["backup", "restore"]) {
    const missing = await runServer([use]);
    assertEquals([missing.code, missing.stdout], [2, ""]);
    const text = `keyline ${use}: FILE is missing. Run with --help to see the usage.\n`;
    assertEquals(missing.stderr, text);
    const surplus = await runServer([use, "a", "b"]);
    assertEquals(surplus.code, 2);
    assertStringIncludes(surplus.stderr, '"b" is too much');
  }
  const none = await runServer(["restore", "/nowhere", "--data", "/nowhere/else"]);
  assertEquals(none.code, 1);
  assertMatch(none.stderr, /^keyline restore: Cannot restore \/nowhere to \/nowhere\/else: .*\n$/);
});

function makeLargeTable(data: string): string {
  const table = new DurableTable(data, { cacheBytes: 0 });
  for (let i = 0; i < LARGE_VALUES; i++) {
    table.put(`key-${i}`, "x".repeat(100_000));
    if (i % 10 === 0) table.commit();
  }
  table.commit();
  table.close();
  return data;
}

function assertRefused(steps: Steps<unknown>, message: string): void {
  assertThrows(() => atOnce(steps), OpenError, message);
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
}

/** Starts a server on a restored copy. */
async function withRestored(copy: string, fn: (client: Client) => Promise<void>): Promise<void> {
  const folder = tempFolder();
  const data = `${folder}/data`;
  const { code, stderr } = await runTool("restore", { args: [copy, "--data", data] });
  assertEquals(code, 0, stderr);
  assertMatch(stderr, new RegExp(`^Restored [\\d,]+ keys? from ${copy} to ${data}\n$`));
  {
    await using server = await ServerProcess.start({ data });
    using client = await server.connect();
    await fn(client);
  }
  Deno.removeSync(folder, { recursive: true });
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
  for (let i = 0; i < LARGE_VALUES; i++) {
    assertEquals(await client.ask(`PUT large-${i} ${value}`), "200 OK");
  }
}
