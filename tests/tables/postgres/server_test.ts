/**
 * A server whose table is in PostgreSQL: how it cuts what clients send into turns, what it answers where something
 * is wrong, and what it stores in the engine.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PostgresCluster, testWithPostgres } from "../../support/postgres.ts";
import { runServer, ServerProcess } from "../../support/harness.ts";
import { askAll, checkSharedServer, figure, stepsOf, upTo } from "../shared_server_cases.ts";

testWithPostgres("a server over PostgreSQL", async (t) => {
  await using cluster = await PostgresCluster.start();
  const step = stepsOf(t, (count) => cluster.url(`step_${count}`));
  const sql = async (text: string) => (await cluster.primary.sql(text)).stdout;

  await checkSharedServer(step);

  await step(
    "requests of one connection keep their order, whatever they do",
    async (server) => {
      using client = await server.connect();
      const lines = ["INCR n", "GET n", "ADD n 5", "DELETE n", "GET n", "ADD n 7", "INCR n"];
      assertEquals(await askAll(client, [...lines, "CAS n 1 x", "PUT m 1", "GET n", "COUNT"]), [
        ...["200 OK 1", "200 OK 1", "409 CONFLICT the key has a value", "200 OK", "404 NOT FOUND"],
        ...["200 OK", "200 OK 8", "409 CONFLICT the key has another version", "200 OK"],
        ...["200 OK 8", "200 OK 2"],
      ]);
      assertEquals(await askAll(client, ["PUT t x", "INCR t", "GET t", "INCR n", "INCR t"]), [
        ...["200 OK", "409 CONFLICT the value is not a 64-bit integer", "200 OK x", "200 OK 9"],
        "409 CONFLICT the value is not a 64-bit integer",
      ]);
    },
  );

  await step("a large value is stored and read", async (server) => {
    using client = await server.connect();
    const large = "\u{10ffff}x\ufeff\t".repeat(200_000);
    const key = "k".repeat(1_024);
    const lines = ["PUT a 1", `PUT ${key} ${large}`, "INCR a", `GET ${key}`, "COUNT"];
    const replies = await askAll(client, lines);
    assertEquals(replies, ["200 OK", "200 OK", "200 OK 2", `200 OK ${large}`, "200 OK 2"]);
  }, ["--max-line", "4194304"]);

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
    await until(async () => await figure(client, "expired_keys") >= 150);
    assertEquals(await figure(client, "keys"), 1);
  });

  await step(
    "two names are two tables, and what others have made is left alone",
    async (server) => {
      await sql("CREATE TABLE others (own text); INSERT INTO others VALUES ('own')");
      const refused = await runServer(["--port", "0", "--table", cluster.url("others")]);
      assertEquals(refused.code, 1);
      assertStringIncludes(refused.stderr, "something else by the name of others");
      await using other = await ServerProcess.start({ table: cluster.url("step_other") });
      using a = await server.connect();
      using b = await other.connect();
      assertEquals(await a.ask("PUT key a"), "200 OK");
      assertEquals(await b.ask("GET key"), "404 NOT FOUND");
      assertEquals(await b.ask("CLEAR"), "200 OK");
      assertEquals(await a.ask("GET key"), "200 OK a");
      assertEquals(await sql("SELECT own FROM others"), "own");
    },
  );

  await step("a person can read the table with psql", async (server, table) => {
    using client = await server.connect();
    await askAll(client, ["PUT a one", "PUT b two words", "EXPIRE b 3600"]);
    const rows = await sql(
      `SELECT key, value, to_timestamp(expires_at / 1000) > now() FROM ${nameOf(table)}`,
    );
    assertEquals(rows.split("\n").sort(), ["a|one|", "b|two words|t"]);
  });

  await step("a turn that changes nothing writes nothing", async (server, table) => {
    using client = await server.connect();
    const lines = ["GET a", "DELETE a", "INCR a", "EXPIRE b 5", "CAS b 1 x", "COUNT"];
    await askAll(client, lines);
    const attempt = `SELECT sum(attempt) FROM ${nameOf(table)}_servers`;
    assertEquals(await sql(attempt), "1");
    await askAll(client, ["GET a", "DELETE b", "ADD a x", "EXPIRE b 5", "CAS b 1 x", "PUT \x7f 1"]);
    assertEquals(await sql(attempt), "1");
  });

  await step(
    "a key expires on every server by the engine's clock, and every one can keep it",
    async (
      server,
      table,
    ) => {
      await using second = await ServerProcess.start({ table });
      using a = await server.connect();
      using b = await second.connect();
      await askAll(a, ["PUT goes 1", "EXPIRE goes 1", "PUT stays 1", "EXPIRE stays 1"]);
      assertEquals(await b.ask("PERSIST stays"), "200 OK");
      assertMatch(await b.ask("TTL goes") ?? "", /^200 OK [01]/);
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      for (const client of [a, b]) {
        const replies = await askAll(client, ["GET goes", "GET stays", "COUNT", "KEYS"]);
        assertEquals(replies, ["404 NOT FOUND", "200 OK 1", "200 OK 1", "200 OK 1"]);
      }
    },
  );

  await step("keys are counted once, whoever removes them", async (server, table) => {
    await using second = await ServerProcess.start({ table });
    using a = await server.connect();
    using b = await second.connect();
    await askAll(a, upTo(50, (i) => `PUT key-${i} 1`));
    await askAll(b, upTo(40, (i) => `DELETE key-${i}`));
    await askAll(b, ["EXPIRE key-45 0.01", "PUT key-45 2", "EXPIRE key-46 0.01", "PUT key-50 1"]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await askAll(a, ["PUT key-46 new", "DELETE none"]);
    for (const client of [a, b]) assertEquals(await client.ask("COUNT"), "200 OK 11");
    assertEquals(
      await sql(
        `SELECT count(*) = (SELECT sum(keys) FROM ${nameOf(table)}_servers) ` +
          `FROM ${nameOf(table)}`,
      ),
      "t",
    );
    await using third = await ServerProcess.start({ table });
    assertStringIncludes(third.output, " keys=11 ");
    assertEquals(await a.ask("CLEAR"), "200 OK");
    assertEquals(await b.ask("COUNT"), "200 OK 0");
  });
});

/** The name of a table in the engine. */
function nameOf(table: string): string {
  return new URL(table).searchParams.get("table")!;
}

/** Waits until something holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!await holds()) {
    assert(performance.now() < deadline, "it never holds");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
