/**
 * A server whose table is in etcd: how it cuts what clients send into turns, what it answers where something
 * is too much or wrong, and what it stores in the engine.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { KeySpace } from "../../../tables/etcd/key_space.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import { ServerProcess, testWithProgram } from "../../support/harness.ts";
import { askAll, checkSharedServer, figure, stepsOf, upTo } from "../shared_server_cases.ts";

testWithProgram("etcd", "a server over etcd", async (t) => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const step = stepsOf(t, (count) => cluster.url(`step-${count}`));
  const stored = async (table: string, part: string) => {
    const prefix = new URL(table).pathname.slice(1);
    const { stdout } = await cluster.ctl(["get", "--prefix", `${prefix}/${part}`, "--keys-only"]);
    return stdout.split("\n").filter((line) => line !== "");
  };

  await checkSharedServer(step);

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
    async (server, table) => {
      using client = await server.connect();
      assertEquals(await client.ask("PUT a 1"), "200 OK");
      const foreign = await nextEntry(cluster, `${new URL(table).pathname.slice(1)}/`);
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
});

/** The key of an entry after the last one of a log, as another program could write it. */
async function nextEntry(cluster: EtcdCluster, prefix: string): Promise<string> {
  const { stdout } = await cluster.ctl(["get", "--prefix", `${prefix}log/`, "-w", "json"]);
  const { key, value } = JSON.parse(stdout).kvs.at(-1) as { key: string; value: string };
  const space = new KeySpace(prefix);
  // The start, the bytes, and what is reckoned for an entry beside them.
  const end = space.entryIdOf(bytesOf(key)).start + bytesOf(value).length + 256;
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
