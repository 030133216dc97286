/**
 * How a server gets to its engine: what it says where there is none, how it logs in, TLS, and that it tells
 * whether it reaches it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { AdminServer } from "../../admin/admin_server.ts";
import { EtcdCluster } from "../../support/etcd.ts";
import { runServer, ServerProcess, tempFolder, testWithProgram } from "../../support/harness.ts";

testWithProgram("etcd", "a start without its engine ends, with a word", async () => {
  const startedAt = performance.now();
  const args = ["--port", "0", "--table", "etcd://127.0.0.1:1/x", "--table-timeout", "0.5"];
  const { code, stderr } = await runServer(args);
  assertEquals(code, 1);
  // One line: the client of etcd writes none of its own.
  assertMatch(stderr, /^.*Cannot open etcd:\/\/127\.0\.0\.1:1\/x: .* is not reached.*\n$/);
  assert(performance.now() - startedAt < 10_000);
});

testWithProgram("etcd", "a start waits for an engine that has no leader", async (t) => {
  const outages = [
    { name: "since its nodes lost each other", isFresh: false },
    { name: "since its nodes were started", isFresh: true },
  ];
  for (const { name, isFresh } of outages) {
    await t.step(name, async () => {
      await using cluster = await EtcdCluster.start();
      const [alone, ...others] = cluster.nodes;
      await Promise.all(others.map((node) => node.kill()));
      if (isFresh) {
        await alone!.kill();
        alone!.start();
      }
      const args = ["--table-timeout", "1"];
      const starting = ServerProcess.start({ table: cluster.url("waits"), args });
      // Longer than a start that is refused takes.
      await new Promise((resolve) => setTimeout(resolve, 4_000));
      for (const node of others) node.start();
      await using server = await starting;
      using client = await server.connect();
      assertEquals(await client.ask("INCR a"), "200 OK 1");
      const waits = server.log.filter((line) => line.includes("the start waits for it"));
      assertEquals(waits.length, 1, server.output);
    });
  }
});

testWithProgram("etcd", "a server logs in, and its password is shown nowhere", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const password = "s3cret-of-etcd";
  await cluster.ctl(["user", "add", `root:${password}`]);
  await cluster.ctl(["user", "grant-role", "root", "root"]);
  await cluster.ctl(["auth", "enable"]);
  const table = cluster.url("login");
  const wrong = [{}, { KEYLINE_ETCD_USER: "root", KEYLINE_ETCD_PASSWORD: "no" }];
  for (const env of wrong) {
    const { code, stderr } = await runServer(["--port", "0", "--table", table], { env });
    assertEquals(code, 1);
    assertStringIncludes(stderr, "Cannot open");
  }
  const half = await runServer(["--port", "0", "--table", table], {
    env: { KEYLINE_ETCD_USER: "root" },
  });
  assertEquals(half.code, 2);
  const env = { KEYLINE_ETCD_USER: "root", KEYLINE_ETCD_PASSWORD: password };
  await using server = await ServerProcess.start({ table, env });
  using client = await server.connect();
  assertEquals(await client.ask("INCR a"), "200 OK 1");
  // A node that has been started again knows no token of before.
  await cluster.nodes[0]!.kill();
  cluster.nodes[0]!.start();
  await cluster.ready(["--user", `root:${password}`]);
  assertEquals(await client.ask("INCR a"), "200 OK 2");
  assert(!server.output.includes(password), server.output);
});

testWithProgram(
  "etcd",
  "a server speaks TLS with its nodes, and shows its certificate",
  async () => {
    const { folder, cert, key } = await makeCertificate();
    const args = [
      "--cert-file",
      cert,
      "--key-file",
      key,
      "--client-cert-auth",
      "--trusted-ca-file",
      cert,
    ];
    {
      await using cluster = await EtcdCluster.start({ nodes: 1, args });
      const table = cluster.url("tls");
      const timeout = ["--table-timeout", "1"];
      const access = { KEYLINE_ETCD_CA: cert, KEYLINE_ETCD_CERT: cert, KEYLINE_ETCD_KEY: key };
      for (const env of [{}, { KEYLINE_ETCD_CA: cert }]) {
        const { code } = await runServer(["--port", "0", "--table", table, ...timeout], { env });
        assertEquals(code, 1, "without its certificate");
      }
      const env = { ...access, KEYLINE_ETCD_CA: `${folder}/none.pem` };
      assertEquals((await runServer(["--port", "0", "--table", table], { env })).code, 2);
      await using server = await ServerProcess.start({ table, env: access });
      using client = await server.connect();
      assertEquals(await client.ask("INCR a"), "200 OK 1");
    }
    Deno.removeSync(folder, { recursive: true });
  },
);

testWithProgram(
  "etcd",
  "a node is refused that has the certificate of another, or one that nobody vouches for",
  async () => {
    const other = await makeCertificate("IP:127.0.0.2");
    const trusted = await makeCertificate();
    const args = ["--cert-file", other.cert, "--key-file", other.key];
    {
      await using cluster = await EtcdCluster.start({ nodes: 1, args });
      for (const { cert } of [other, trusted]) {
        const { code, stderr } = await runServer(
          ["--port", "0", "--table", cluster.url("tls"), "--table-timeout", "1"],
          { env: { KEYLINE_ETCD_CA: cert } },
        );
        assertEquals(code, 1);
        assertStringIncludes(stderr, "Cannot open");
      }
    }
    for (const { folder } of [other, trusted]) Deno.removeSync(folder, { recursive: true });
  },
);

testWithProgram("etcd", "a server is ready while it reaches its engine, and again", async () => {
  await using cluster = await EtcdCluster.start({ nodes: 1 });
  const options = { table: cluster.url("ready"), args: ["--table-timeout", "0.5"] };
  await using server = await AdminServer.start(options);
  const becomes = async (status: number) => {
    const deadline = performance.now() + 30_000;
    while ((await server.get("readyz")).status !== status) {
      assert(performance.now() < deadline, `never ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await becomes(200);
  await cluster.nodes[0]!.kill();
  await becomes(503);
  cluster.nodes[0]!.start();
  await becomes(200);
  using client = await server.process.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  assertMatch((await server.get("metrics")).body, /keyline_commit_duration_seconds_count 1/);
});

/** A certificate that vouches for itself, as files of a new folder. */
async function makeCertificate(
  name = "IP:127.0.0.1",
): Promise<{ folder: string; cert: string; key: string }> {
  const folder = tempFolder();
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const args = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext " +
    `subjectAltName=${name} -addext basicConstraints=critical,CA:FALSE`;
  const { success } = await new Deno.Command("openssl", {
    args: [...args.split(" "), "-keyout", key, "-out", cert],
    stderr: "null",
  }).output();
  assert(success, "openssl has made no certificate");
  return { folder, cert, key };
}
