/**
 * What a server answers while PostgreSQL can't be used, for whatever reason: 500 within the time-out, for reads as well
 * where they can't be answered either; the server recovers by itself, and the log has a line at the beginning and one at
 * the end.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { AdminServer, eventually } from "../../admin/admin_server.ts";
import { Client } from "../../support/client.ts";
import { eventOf, runServer, ServerProcess, tempFolder } from "../../support/harness.ts";
import { PostgresCluster, testWithPostgres, USER } from "../../support/postgres.ts";

/** How long the engine may take for a request, in seconds. */
const TIMEOUT_SECONDS = 1;
/** By when every request has its answer, in milliseconds; the machine may be busy. */
const ANSWER_MS = 6_000;
const LINES = ["GET a", "PUT a 2", "GET a", "PUT b 3", "COUNT", "KEYS", "CLEAR"];
const REFUSED = "500 ERROR the table's engine ";

/** Breaks an engine, and looks at what a server answers until it is mended. */
async function checkOutage(
  cluster: PostgresCluster,
  { table, reason, isReadable = false, lines = LINES, breakIt, mend }: {
    table: string;
    /** What clients are told. */
    reason: string;
    /** Whether reads go on. */
    isReadable?: boolean;
    /** What is asked meanwhile. */
    lines?: readonly string[];
    breakIt: (client: Client) => unknown;
    mend: (client: Client) => unknown;
  },
): Promise<void> {
  const args = ["--table-timeout", `${TIMEOUT_SECONDS}`];
  await using server = await AdminServer.start({ table: cluster.url(table), args });
  const { process } = server;
  using client = await process.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  const before = process.log.length;
  await breakIt(client);
  const check = async (line: string) => {
    using client = await process.connect();
    const calledAt = performance.now();
    const reply = await client.ask(line);
    const ms = performance.now() - calledAt;
    assert(ms < ANSWER_MS, `${line} took ${Math.round(ms)} ms`);
    if (isReadable && /^(GET|COUNT|KEYS)/.test(line)) assertMatch(reply ?? "", /^200 OK 1/);
    else assertEquals(reply, reason, line);
  };
  // One finds out, and then the others wait for the engine at the same time.
  const [first, ...others] = lines;
  await check(first!);
  await Promise.all(others.map(check));
  assertEquals((await server.get("readyz")).status, 503);
  await mend(client);
  // Nobody asks for anything.
  await eventually(async () => (await server.get("readyz")).status === 200 || undefined);
  assertEquals(await client.ask("GET a"), "200 OK 1");
  assertEquals(await client.ask("PUT a 4"), "200 OK");
  const told = process.log.slice(before).map((line) => eventOf(line).replace(/ why=.*/, ""))
    .filter((event) => event.includes("engine")); // A busy machine has slow commits, too.
  assertEquals(told, [
    `error The table's engine fails: ${isReadable ? "changes" : "requests"} are answered 500 ` +
    "until it is back",
    "info  The table's engine is back",
  ]);
}

testWithPostgres(
  "an engine that can't be used is told of once, and so is its return",
  async (t) => {
    await using cluster = await PostgresCluster.start({ settings: { max_connections: "12" } });
    const { primary } = cluster;
    const sql = async (text: string) => {
      const { code, stderr } = await primary.sql(text);
      assertEquals(code, 0, stderr);
    };

    await t.step("it is down", () =>
      checkOutage(cluster, {
        table: "down",
        reason: `${REFUSED}is not reached`,
        breakIt: () => primary.kill(),
        mend: () => primary.start(),
      }));
    await primary.ready();

    await t.step("it is read-only", () =>
      checkOutage(cluster, {
        table: "read_only",
        reason: `${REFUSED}is read-only`,
        isReadable: true,
        breakIt: async () => {
          await sql("ALTER SYSTEM SET default_transaction_read_only = on");
          await sql("SELECT pg_reload_conf()");
          await new Promise((resolve) => setTimeout(resolve, 500));
        },
        mend: async () => {
          await sql("ALTER SYSTEM RESET default_transaction_read_only");
          await sql("SELECT pg_reload_conf()");
        },
      }));

    await t.step("its table has another form", () =>
      checkOutage(cluster, {
        table: "form",
        reason: "500 ERROR the table in the engine is not as Keyline made it",
        breakIt: () => sql("ALTER TABLE form RENAME TO elsewhere"),
        mend: () => sql("ALTER TABLE elsewhere RENAME TO form"),
      }));

    await t.step("it has too many connections", async () => {
      // The role of a server has none of the connections that are kept for administrators.
      await sql("CREATE ROLE plain LOGIN; GRANT ALL ON SCHEMA public TO plain");
      const others: Deno.ChildProcess[] = [];
      /** Takes so many connections, and keeps them. */
      const take = (count: number) => {
        const where = ["-h", "127.0.0.1", "-p", `${primary.port}`, "-U", "plain", "-d", "postgres"];
        for (let i = 0; i < count; i++) {
          others.push(
            new Deno.Command("psql", {
              args: [...where, "-c", "SELECT pg_sleep(600)"],
              ...{ stdin: "null", stdout: "null", stderr: "null" },
            }).spawn(),
          );
        }
      };
      const url = { url: (name: string) => cluster.url(name).replace(`${USER}@`, "plain@") };
      await checkOutage(Object.assign(Object.create(cluster), url), {
        table: "crowded",
        reason: `${REFUSED}has too many connections`,
        breakIt: async () => {
          take(12);
          await new Promise((resolve) => setTimeout(resolve, 1_500));
          const ofServers = "FROM pg_stat_activity WHERE application_name LIKE 'keyline%'";
          // Another one takes its place at once, unless the server itself is faster.
          for (let count = "1"; count !== "0";) {
            await sql(`SELECT pg_terminate_backend(pid) ${ofServers}`);
            take(3);
            await new Promise((resolve) => setTimeout(resolve, 500));
            count = (await primary.sql(`SELECT count(*) ${ofServers}`)).stdout;
          }
        },
        mend: async () => {
          await sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
              "WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()",
          );
          await Promise.all(others.map((other) => other.status));
        },
      });
    });
  },
);

testWithPostgres(
  "without its standbys an engine acknowledges nothing, and tells nothing stale",
  async () => {
    await using cluster = await PostgresCluster.start({ standbys: 1 });
    const [standby] = cluster.standbys;
    const args = ["--table-timeout", `${TIMEOUT_SECONDS}`];
    await using server = await ServerProcess.start({ table: cluster.url("alone"), args });
    using client = await server.connect();
    assertEquals(await client.ask("PUT a 1"), "200 OK");
    await standby!.kill();
    assertEquals(await client.ask("GET a"), `${REFUSED}is not reached`);
    // Nobody can tell whether it takes place: no reply, and the connection ends.
    assertEquals(await client.ask("PUT a 2"), undefined);
    using other = await server.connect();
    // It has been stored on the primary: to cancel its wait for the standby must not make it count.
    await cluster.primary.sql(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'keyline%'",
    );
    assertMatch(await other.ask("GET a") ?? "", /^500 ERROR/);
    standby!.start();
    await eventually(async () => (await other.ask("GET a"))?.startsWith("200") || undefined);
    assertMatch(await other.ask("GET a") ?? "", /^200 OK [12]$/);
    assertEquals(await other.ask("PUT a 3"), "200 OK");
  },
);

testWithPostgres("a commit whose wait for a standby is cancelled does not count", async () => {
  await using cluster = await PostgresCluster.start({ standbys: 1 });
  const [standby] = cluster.standbys;
  const args = ["--table-timeout", "4"];
  await using server = await ServerProcess.start({ table: cluster.url("cancelled"), args });
  using client = await server.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  standby!.signal("SIGSTOP");
  const asked = client.ask("PUT a 2");
  const waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  await eventually(async () =>
    (await cluster.primary.sql(`SELECT count(*) ${waiting}`)).stdout !== "0" || undefined
  );
  // The engine answers this with success and a warning.
  await cluster.primary.sql(`SELECT pg_cancel_backend(pid) ${waiting}`);
  assertEquals(await asked, undefined);
  standby!.signal("SIGCONT");
});

testWithPostgres("a full disk refuses changes, is read, and goes on", async (t) => {
  if (Deno.uid() !== 0) return void await t.step({ name: "needs root", ignore: true, fn() {} });
  const folder = tempFolder();
  const mount = ["-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", folder];
  const { success } = await new Deno.Command("mount", { args: mount, stderr: "null" }).output();
  if (!success) {
    Deno.removeSync(folder);
    return void await t.step({ name: "needs to mount", ignore: true, fn() {} });
  }
  try {
    await using cluster = await PostgresCluster.start();
    const { uid, gid } = Deno.statSync(cluster.primary.folder);
    Deno.mkdirSync(`${folder}/space`);
    Deno.chownSync(`${folder}/space`, uid, gid);
    // The table lies there; the log of the engine does not, and goes on.
    await cluster.primary.sql(`CREATE TABLESPACE small LOCATION '${folder}/space'`);
    await cluster.primary.sql("ALTER SYSTEM SET default_tablespace = small");
    await cluster.primary.sql("SELECT pg_reload_conf()");
    const filler = `${folder}/filler`;
    await checkOutage(cluster, {
      table: "full",
      // DELETE and CLEAR need no room.
      lines: LINES.slice(0, -1),
      reason: `${REFUSED}has no room on its disk`,
      isReadable: true,
      breakIt: async (client) => {
        using file = Deno.createSync(filler);
        try {
          for (;;) file.writeSync(new Uint8Array(65_536));
        } catch {
          // Now it is full.
        }
        // What room the table itself still has.
        let reply = await client.ask(`PUT x0 ${"x".repeat(2_000)}`);
        for (let i = 1; reply === "200 OK"; i++) {
          reply = await client.ask(`PUT x${i} ${"x".repeat(2_000)}`);
          assert(i < 1_000, "it is never full");
        }
      },
      mend: () => Deno.removeSync(filler),
    });
  } finally {
    await new Deno.Command("umount", { args: [folder] }).output();
    Deno.removeSync(folder, { recursive: true });
  }
});

testWithPostgres("a start without its engine ends, with a word", async () => {
  const startedAt = performance.now();
  const table = "postgres://keyline@127.0.0.1:1/x";
  const { code, stderr } = await runServer([
    "--port",
    "0",
    "--table",
    table,
    "--table-timeout",
    "0.5",
  ]);
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^.*Cannot open postgres:\/\/keyline@127\.0\.0\.1:1\/x\S*: .* is not reached.*\n$/,
  );
  assert(performance.now() - startedAt < 10_000);
});

testWithPostgres("the start says what the engine's settings do not promise", async () => {
  await using cluster = await PostgresCluster.start({ settings: { fsync: "off" } });
  await using server = await ServerProcess.start({ table: cluster.url("settings") });
  assertStringIncludes(server.output, "waits for no standby");
  assertStringIncludes(server.output, "see=fsync");
});
