/**
 * What holds for a server over every engine, and how its tests ask. The tests of each engine call it with a step
 * of their own.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { ServerProcess } from "../support/harness.ts";
import { figureOf } from "../support/waiting.ts";
import { runTool } from "../tools/tool.ts";

/** Defines a step of a test, with a server and a table of its own. */
export type Step = (
  name: string,
  fn: (server: ServerProcess, table: string) => Promise<void>,
  args?: readonly string[],
) => Promise<void>;

/** The steps that hold for every engine. */
export async function checkSharedServer(step: Step): Promise<void> {
  await step("many requests at once are served in order", async (server) => {
    using client = await server.connect();
    const keys = upTo(1_000, (i) => `key-${i}`);
    const puts = await askAll(client, keys.map((key) => `PUT ${key} value of ${key}`));
    assertEquals(puts, keys.map(() => "200 OK"));
    const gets = await askAll(client, keys.map((key) => `GET ${key}`));
    assertEquals(gets, keys.map((key) => `200 OK value of ${key}`));
    const mixed = keys.flatMap((key) => [`DELETE ${key}`, `INCR ${key}`, `INCR n`]);
    const replies = await askAll(client, mixed);
    assertEquals(replies, keys.flatMap((_, i) => ["200 OK", "200 OK 1", `200 OK ${i + 1}`]));
    assertEquals(await client.ask("COUNT"), "200 OK 1001");
  });

  await step(
    "what comes behind CLEAR, COUNT and KEYS sees what came before",
    async (server) => {
      using client = await server.connect();
      const lines = [
        "PUT a 1",
        "PUT b 1",
        "COUNT",
        "CLEAR",
        "COUNT",
        "PUT b 2",
        "PUT c 2",
        "EXPIRE c 99",
      ];
      const replies = await askAll(client, [...lines, "COUNT", "GET a", "GET b", "KEYS"]);
      const expected = [
        "200 OK",
        "200 OK",
        "200 OK 2",
        "200 OK",
        "200 OK 0",
        "200 OK",
        "200 OK",
        "200 OK",
      ];
      assertEquals(replies, [...expected, "200 OK 2", "404 NOT FOUND", "200 OK 2", "200 OK 2"]);
      assertEquals(await askAll(client, ["CLEAR", "PUT d 1", "EXPIRE d 9", "COUNT"]), [
        ...["200 OK", "200 OK", "200 OK", "200 OK 1"],
      ]);
    },
  );

  await step("a client that asks for more than it reads does not grow memory", async (server) => {
    using client = await server.connect();
    assertEquals(await client.ask(`PUT large ${"x".repeat(1_000_000)}`), "200 OK");
    const before = await figure(client, "memory_bytes");
    await client.send("GET large\n".repeat(300));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    using other = await server.connect();
    const grown = (await figure(other, "memory_bytes")) - before;
    assert(grown < 100_000_000, `${grown} bytes more`);
    for (let i = 0; i < 300; i++) assertEquals((await client.line())?.length, 1_000_007);
    assertEquals(await client.ask("COUNT"), "200 OK 1");
  });

  await step("requests that run again are counted once", async (server, table) => {
    await using second = await ServerProcess.start({ table });
    const clients = await Promise.all(upTo(8, (i) => (i % 2 === 0 ? server : second).connect()));
    using client = await server.connect();
    using other = await second.connect();
    const sum = async (name: string) => {
      const figures = await Promise.all([client, other].map((one) => figure(one, name)));
      return figures[0]! + figures[1]!;
    };
    let rounds = 0;
    do {
      assert(++rounds < 200, "nothing is ever run again");
      await Promise.all(clients.map((client) => askAll(client, ["INCR hot", "INCR hot"])));
    } while (await sum("conflicts") < 5);
    const total = 2 * clients.length * rounds;
    assertEquals(await client.ask("GET hot"), `200 OK ${total}`);
    assertEquals(await sum("requests_incr_200"), total);
    for (const client of clients) client[Symbol.dispose]();
  });

  await step("a table moves to one machine and back", async (server) => {
    await using alone = await ServerProcess.start();
    using client = await server.connect();
    const puts = upTo(1_500, (i) => `PUT key-${String(i).padStart(4, "0")} value ${i}`);
    await askAll(client, [...puts, "EXPIRE key-0007 3600"]);
    const portOf = ({ port }: ServerProcess) => ["--port", `${port}`];
    const away = await runTool("export", { args: portOf(server) });
    assertEquals(away.stdout.split("\n").length, 1_501);
    assertEquals((await runTool("import", { args: portOf(alone), input: away.stdout })).code, 0);
    assertEquals(await client.ask("CLEAR"), "200 OK");
    const back = await runTool("export", { args: portOf(alone) });
    assertEquals((await runTool("import", { args: portOf(server), input: back.stdout })).code, 0);
    assertEquals(await client.ask("COUNT"), "200 OK 1500");
    assertEquals(await client.ask("GET key-0007"), "200 OK value 7");
    assert(/^200 OK \d+/.test(await client.ask("TTL key-0007") ?? ""));
  });
}

/** A step, whose tables have URLs that an engine makes of a number. */
export function stepsOf(t: Deno.TestContext, url: (count: number) => string): Step {
  let count = 0;
  return async (name, fn, args = []) => {
    const table = url(++count);
    await t.step(name, async () => {
      await using server = await ServerProcess.start({ table, args });
      await fn(server, table);
    });
  };
}

/** Sends lines at once, and returns the last line of each reply. */
export async function askAll(
  client: Client,
  lines: readonly string[],
): Promise<(string | undefined)[]> {
  const sending = client.send(lines.map((line) => `${line}\n`).join(""));
  const replies: (string | undefined)[] = [];
  for (let i = 0; i < lines.length; i++) replies.push((await client.reply()).at(-1));
  await sending;
  return replies;
}

/** So many of something. */
export function upTo<T>(length: number, of: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => of(i));
}

/** How often STATS says that something happened. */
export async function figure(client: Client, name: string): Promise<number> {
  return await figureOf(client, name) ?? 0;
}
