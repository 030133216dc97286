/**
 * How connect succeeds and fails: passwords, TLS, and servers that are missing, silent or full.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import {
  AbortError,
  ArgumentError,
  BusyError,
  connect,
  ConnectionError,
  UnauthorizedError,
} from "../../client/client.ts";
import { ServerProcess, testServer, testWith, testWithProgram } from "../support/harness.ts";
import { TlsServer } from "../support/tls_server.ts";
import { faultTest } from "./fault_scripts.ts";

testServer(
  "the right password is accepted, and a wrong or missing one is UnauthorizedError",
  async () => {
    const env = { KEYLINE_PASSWORD: "open sesame" };
    await using server = await ServerProcess.start({ args: ["--memory"], env });
    const { port } = server;
    await using db = await connect({ port, password: "open sesame" });
    await db.put("k", "v");
    await assertRejects(() => connect({ port, password: "wrong" }), UnauthorizedError);
    await assertRejects(() => connect({ port, password: "a\r\nCLEAR" }), ArgumentError);
    await using other = await connect({ port });
    await assertRejects(() => other.get("k"), UnauthorizedError);
    assertEquals(await db.get("k"), "v");
  },
);

testWith(
  ["net"],
  "connect says that nothing listens, and refuses a port that cannot exist",
  async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const what = `Cannot connect to 127.0.0.1:${port}: nothing listens there`;
    await assertRejects(() => connect({ port }), ConnectionError, what);
    for (const wrong of [0, 1.5, 65_536]) {
      await assertRejects(() => connect({ port: wrong }), ArgumentError, "port");
    }
  },
);

faultTest("connect fails if the server accepts but does not greet", [
  async (client) => {
    while (await client.line() !== undefined);
  },
], async (server) => {
  await assertRejects(() => connect({ port: server.port, timeout: 50 }), ConnectionError);
  const signal = AbortSignal.timeout(20);
  await assertRejects(() => connect({ port: server.port, signal }), AbortError);
  const aborted = AbortSignal.abort();
  await assertRejects(() => connect({ port: server.port, signal: aborted }), AbortError);
});

faultTest("connect fails with BusyError if the server has no room", [
  async (client) => {
    await client.send("503 BUSY too many connections\r\n");
    await client.line();
  },
], async (server) => {
  await assertRejects(() => connect({ port: server.port }), BusyError, "too many connections");
});

testWithProgram(
  "openssl",
  "TLS works with a trusted certificate, and only with TLS on both sides",
  async () => {
    await using server = await TlsServer.start(["--memory"]);
    const ca = Deno.readTextFileSync(`${server.folder}/cert.pem`);
    for (const hostname of ["127.0.0.1", "localhost"]) {
      await using db = await connect({ hostname, port: server.port, ca });
      await db.put("k", "v".repeat(500_000));
      assertEquals((await db.get("k"))?.length, 500_000);
    }
    await assertRejects(() => connect({ port: server.port, tls: true }), ConnectionError);
    await assertRejects(() => connect({ port: server.port }), ConnectionError, "it may want TLS");
    await using plain = await ServerProcess.start({ args: ["--memory"] });
    const notTls = "the server does not speak TLS";
    await assertRejects(() => connect({ port: plain.port, ca }), ConnectionError, notTls);
  },
);
