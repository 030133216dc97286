/**
 * A server whose table is in etcd: how it cuts what clients send into turns, what it answers where something
 * is too much or wrong, and what it stores in the engine.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { KeySpace } from "../../../tables/etcd/key_space.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import type { Client } from "../../support/client.ts";
import { ServerProcess, testWithProgram } from "../../support/harness.ts";
import { runTool } from "../../tools/tool.ts";

/** Sends lines at once, and returns the last line of each reply. */
async function askAll(client: Client, lines: readonly string[]): Promise<(string | undefined)[]> {
  const sending = client.send(lines.map((line) => `${line}\n`).join(""));
  const replies: (string | undefined)[] = [];
  for (let i = 0; i < lines.length; i++) replies.push((await client.reply()).at(-1));
  await sending;
  return replies;
}

function upTo<T>(length: number, of: (i: number) => T): T[] {
  return Array.from({ length }, (_, i) => of(i));
}

/** How often STATS says that something happened. */
async function figure(client: Client, name: string): Promise<number> {
  await client.send("STATS\n");
  const line = (await client.reply()).find((line) => line.startsWith(`200-${name} `));
  return Number(line?.split(" ")[1] ?? 0);
}

testWithProgram("etcd", "a server over etcd", async (t) => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  let count = 0;
  /** A test with a server and a table of its own. */
  const step = async (
    name: string,
    fn: (server: ServerProcess, table: string) => Promise<void>,
    args: readonly string[] = [],
  ) => {
    const table = cluster.url(`step-${++count}`);
    await t.step(name, async () => {
      await using server = await ServerProcess.start({ table, args });
      await fn(server, table);
    });
  };
  const stored = async (table: string, part: string) => {
    const prefix = new URL(table).pathname.slice(1);
    const { stdout } = await cluster.ctl(["get", "--prefix", `${prefix}/${part}`, "--keys-only"]);
    return stdout.split("\n").filter((line) => line !== "");
  };

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

  await step(
    "a value that etcd does not take is 500, and its neighbours are served",
    async (server) => {
      using client = await server.connect();
      const large = "x".repeat(2_000_000);
      const lines = ["PUT a 1", `PUT large ${large}`, "INCR a", "GET large", "COUNT"];
      const replies = await askAll(client, lines);
      assertEquals(replies, [
        "200 OK",
        "500 ERROR more than the table's engine takes at once",
        ...["200 OK 2", "404 NOT FOUND", "200 OK 1"],
      ]);
      const fits = "y".repeat(1_048_576);
      assertEquals(await client.ask(`PUT ${"k".repeat(1_024)} ${fits}`), "200 OK");
      assertEquals(await client.ask(`GET ${"k".repeat(1_024)}`), `200 OK ${fits}`);
    },
    ["--max-line", "4194304"],
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

  await step("what expires is gone at once, and its memory soon", async (server) => {
    using client = await server.connect();
    const keys = upTo(150, (i) => `key-${i}`);
    await askAll(client, keys.flatMap((key) => [`PUT ${key} 1`, `EXPIRE ${key} 0.3`]));
    // This one is replaced, so that its expiry is no longer true.
    await askAll(client, ["PUT stays 1", "EXPIRE stays 0.3", "PUT stays 2", "COUNT"]);
    await new Promise((resolve) => setTimeout(resolve, 350));
    assertEquals(await askAll(client, ["COUNT", "GET key-7", "GET stays", "KEYS"]), [
      ...["200 OK 1", "404 NOT FOUND", "200 OK 2", "200 OK 1"],
    ]);
    await until(async () => await figure(client, "expired_keys") === 150);
    assertEquals(await figure(client, "keys"), 1);
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

  await step("two prefixes are two tables, and other keys are left alone", async (server) => {
    await cluster.ctl(["put", "others", "own"]);
    await using other = await ServerProcess.start({ table: cluster.url("step-other") });
    using a = await server.connect();
    using b = await other.connect();
    assertEquals(await a.ask("PUT key a"), "200 OK");
    assertEquals(await b.ask("GET key"), "404 NOT FOUND");
    assertEquals(await b.ask("CLEAR"), "200 OK");
    assertEquals(await a.ask("GET key"), "200 OK a");
    assertStringIncludes((await cluster.ctl(["get", "others"])).stdout, "own");
  });

  await step(
    "an entry that another program has written is 500, until it is gone",
    async (server) => {
      using client = await server.connect();
      assertEquals(await client.ask("PUT a 1"), "200 OK");
      const foreign = await nextEntry(cluster, `step-${count}/`);
      await cluster.ctl(["put", foreign, "value"]);
      const refused = "500 ERROR another program has written to the table";
      assertEquals(await askAll(client, ["GET a", "PUT a 2"]), [refused, refused]);
      assertEquals(await client.ask("GET a"), refused);
      assertEquals(await client.ask("HELP nothing"), "404 NOT FOUND");
      await cluster.ctl(["del", foreign]);
      assertEquals(await askAll(client, ["GET a", "PUT a 2", "GET a"]), [
        ...["200 OK 1", "200 OK", "200 OK 2"],
      ]);
    },
  );

  await step("a turn that changes nothing writes nothing", async (server, table) => {
    using client = await server.connect();
    const lines = ["GET a", "DELETE a", "INCR a", "EXPIRE b 5", "CAS b 1 x", "COUNT"];
    await askAll(client, lines);
    assertEquals((await stored(table, "log/")).length, 2); // One of them is there from the start.
    await askAll(client, ["GET a", "DELETE b", "ADD a x", "EXPIRE b 5", "CAS b 1 x", "PUT \x7f 1"]);
    assertEquals((await stored(table, "log/")).length, 2);
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
});

/** The key of an entry after the last one of a log, as another program could write it. */
async function nextEntry(cluster: EtcdCluster, prefix: string): Promise<string> {
  const { stdout } = await cluster.ctl(["get", "--prefix", `${prefix}log/`, "-w", "json"]);
  const { key, value } = JSON.parse(stdout).kvs.at(-1) as { key: string; value: string };
  const space = new KeySpace(prefix);
  // The start, the bytes, and what is reckoned for an entry beside them.
  const end = space.placeOf(bytesOf(key)).start + bytesOf(value).length + 256;
  return new TextDecoder().decode(space.entry({ start: end, mark: "foreign" }));
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** Waits until something holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!await holds()) {
    assert(performance.now() < deadline, "it never holds");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
