/**
 * How a server gets to PostgreSQL: what `--table` may say, how it logs in, and TLS.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { formatLocation, parseLocation } from "../../../tables/postgres/location.ts";
import { runServer, ServerProcess, tempFolder } from "../../support/harness.ts";
import { owner, PostgresCluster, testWithPostgres, USER } from "../../support/postgres.ts";

Deno.test("a location has a user, servers with 5432 as their port, a database and a table", () => {
  assertEquals(parseLocation("postgres://shop@a/db"), {
    user: "shop",
    hosts: [{ host: "a", port: 5432 }],
    database: "db",
    table: "keyline",
  });
  assertEquals(parseLocation("postgres://shop@10.0.0.1:1,[::1]:2/db?table=carts"), {
    user: "shop",
    hosts: [{ host: "10.0.0.1", port: 1 }, { host: "::1", port: 2 }],
    database: "db",
    table: "carts",
  });
});

Deno.test("a location that is written out is the same when it is read again", () => {
  for (
    const text of ["postgres://u@a:5432/d?table=keyline", "postgres://u@a:1,[::1]:2/d?table=t"]
  ) {
    assertEquals(formatLocation(parseLocation(text)), text);
  }
});

Deno.test("what is no location is refused, and not repeated", () => {
  const wrong = ["", "postgres://", "postgres://a/d", "postgres://u@a", "postgres://u@a:99999/d"];
  const tables = ["postgres://u@a/d?table=", "postgres://u@a/d?table=A;b", "postgres://u@a/d?x=1"];
  for (const text of [...wrong, ...tables, "postgres://u:secret@a/d", "postgres://u@a,/d"]) {
    const error = assertThrows(() => parseLocation(text), TypeError);
    assert(!error.message.includes("secret"), error.message);
  }
});

testWithPostgres("a server logs in, and its password is shown nowhere", async () => {
  const password = "s3cret of PostgreSQL";
  await using cluster = await PostgresCluster.start();
  const { primary } = cluster;
  await primary.sql(`ALTER ROLE ${USER} PASSWORD '${password}'`);
  const hba = "host all all 127.0.0.1/32 scram-sha-256\n";
  Deno.writeTextFileSync(`${primary.folder}/pg_hba.conf`, hba);
  primary.reload();
  const table = cluster.url("login");
  await new Promise((resolve) => setTimeout(resolve, 500));
  const wrong = [
    [{}, "asks for a password"],
    [{ KEYLINE_POSTGRES_PASSWORD: "no" }, "does not let this server in"],
  ] as const;
  for (const [env, why] of wrong) {
    const args = ["--port", "0", "--table", table, "--table-timeout", "1"];
    const { code, stderr } = await runServer(args, { env });
    assertEquals(code, 1);
    assertStringIncludes(stderr, why);
  }
  const file = Deno.makeTempFileSync();
  Deno.writeTextFileSync(file, `${password}\nnot this line\n`);
  const ways = [
    { KEYLINE_POSTGRES_PASSWORD: password },
    { KEYLINE_POSTGRES_PASSWORD_FILE: file },
  ];
  for (const [i, env] of ways.entries()) {
    await using server = await ServerProcess.start({ table, env });
    using client = await server.connect();
    assertEquals(await client.ask("INCR a"), `200 OK ${i + 1}`);
    assert(!server.output.includes(password), server.output);
  }
  Deno.removeSync(file);
});

testWithPostgres(
  "a server speaks TLS with its engine, and with no other than its own",
  async () => {
    const [own, other] = [await makeCertificate(), await makeCertificate()];
    const settings = { ssl: "on", ssl_cert_file: own.cert, ssl_key_file: own.key };
    {
      await using cluster = await PostgresCluster.start({ settings });
      const table = cluster.url("tls");
      const refused = await runServer(["--port", "0", "--table", table, "--table-timeout", "1"], {
        env: { KEYLINE_POSTGRES_CA: other.cert },
      });
      assertEquals(refused.code, 1);
      const env = { KEYLINE_POSTGRES_CA: own.cert };
      await using server = await ServerProcess.start({ table, env });
      using client = await server.connect();
      assertEquals(await client.ask("INCR a"), "200 OK 1");
      const { stdout } = await cluster.primary.sql(
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) " +
          "WHERE ssl AND application_name LIKE 'keyline%'",
      );
      assertEquals(stdout, "1");
    }
    for (const { folder } of [own, other]) Deno.removeSync(folder, { recursive: true });
  },
);

/** A certificate that vouches for itself, as files that PostgreSQL can read. */
async function makeCertificate(): Promise<{ folder: string; cert: string; key: string }> {
  const folder = tempFolder();
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const args = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext " +
    "subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
  const { success } = await new Deno.Command("openssl", {
    args: [...args.split(" "), "-keyout", key, "-out", cert],
    stderr: "null",
  }).output();
  assert(success, "openssl has made no certificate");
  const { uid, gid } = owner();
  for (const path of uid === undefined ? [] : [folder, cert, key]) Deno.chownSync(path, uid!, gid!);
  return { folder, cert, key };
}
