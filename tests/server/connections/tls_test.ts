/**
 * TLS over real sockets: clients are served as in plain text, plain text is refused, and a certificate
 * that is renewed while clients stay. `openssl` makes the certificates.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Client } from "../../support/client.ts";
import {
  runServer,
  type ServerProcess,
  tempFolder,
  testServer,
  testWithProgram,
} from "../../support/harness.ts";
import { makeCertificate, run, type TlsClient, TlsServer } from "../../support/tls_server.ts";
import { eventually } from "../../support/waiting.ts";

/** Defines a test with a server that speaks TLS, with a certificate of its own. */
function tlsTest(
  name: string,
  fn: (server: TlsServer) => Promise<void>,
  flags: readonly string[] = [],
): void {
  testWithProgram("openssl", name, async () => {
    await using server = await TlsServer.start(flags);
    await fn(server);
  });
}

tlsTest("TLS clients are served like others", async (server) => {
  using client = await server.connect();
  assertEquals(await client.ask("PUT k a value"), "200 OK");
  assertEquals(await client.ask("GET k"), "200 OK a value");
  const value = "v".repeat(1_000_000);
  assertEquals(await client.ask(`PUT large ${value}`), "200 OK");
  await client.send("GET large\r\n".repeat(5) + "QUIT\r\nPUT k behind QUIT\r\n");
  for (let i = 0; i < 5; i++) assertEquals(await client.line(), `200 OK ${value}`);
  assertEquals(await client.line(), "200 OK");
  assertEquals(await client.line(), undefined);
  using other = await server.connect();
  assertEquals(await other.ask("GET k"), "200 OK a value");
});

tlsTest("a value that is replaced under way reaches a TLS client as it was", async (server) => {
  using slow = await server.connect();
  using writer = await server.connect();
  const valueOf = (i: number) => String.fromCharCode(97 + i).repeat(900_000 + i);
  const versions = Array.from({ length: 20 }, (_, i) => valueOf(i));
  assertEquals(await writer.ask(`PUT large ${versions[0]}`), "200 OK");
  await slow.send("GET large\r\n".repeat(10));
  for (const value of versions) {
    assertEquals(await writer.ask(`PUT large ${value}`), "200 OK");
  }
  for (let at = 0, i = 0; i < 10; i++) {
    const line = await slow.line();
    at = versions.findIndex((value, i) => i >= at && line === `200 OK ${value}`);
    assert(at >= 0, `reply ${i} is no value that was stored, or an older one than before`);
  }
});

tlsTest("the command in the banner works", async (server) => {
  const command = `openssl s_client -connect 127.0.0.1:${server.port} -quiet`;
  assertStringIncludes(server.process.output, `Try: ${command}`);
  const typed = "PUT k by hand\\nGET k\\nQUIT\\n";
  const { stdout } = await run("sh", ["-c", `printf "${typed}" | ${command} 2>/dev/null`]);
  assertEquals(stdout, "200 OK\r\n200 OK by hand\r\n200 OK\r\n");
});

tlsTest("plain text on a port with TLS is closed, and nothing of it is run", async (server) => {
  for (
    const text of ["PUT k v\r\nGET k\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello"]
  ) {
    using client = await Client.connect(server.port);
    await client.send(text);
    assert(!/^\d{3} /.test(await client.rest()), text);
  }
  using client = await server.connect();
  assertEquals(await client.ask("GET k"), "404 NOT FOUND");
  assert(!server.process.output.includes("Cannot serve"), server.process.output);
});

tlsTest("a client that leaves without close_notify disturbs nobody", async (server) => {
  using other = await server.connect();
  const client = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${server.port}`, "-quiet"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = client.stdin.getWriter();
  await input.write(new TextEncoder().encode("PUT k v\nPUT k half a li"));
  const output = client.stdout.getReader();
  assertEquals(new TextDecoder().decode((await output.read()).value), "200 OK\r\n");
  // Killed, it says nothing in TLS; the kernel closes its socket.
  client.kill("SIGKILL");
  await client.status;
  await Promise.all([input.close().catch(() => {}), output.cancel()]);
  await eventually("it is gone", async () => await connections(other) === 1);
  assertEquals(await other.ask("GET k"), "200 OK v");
  assert(!server.process.output.includes("Cannot serve"), server.process.output);
});

tlsTest(
  "a client that does not trust the certificate disturbs nobody when it leaves",
  async (server) => {
    const stranger = await Deno.connectTls({ hostname: "127.0.0.1", port: server.port });
    await assertRejects(() => stranger.handshake(), Deno.errors.InvalidData);
    stranger.close();
    using client = await server.connect();
    assertEquals(await client.ask("GET k"), "404 NOT FOUND");
  },
);

tlsTest("a client that starts no handshake does not keep others waiting", async (server) => {
  using silent = await Client.connect(server.port);
  using half = await Client.connect(server.port);
  await half.send(new Uint8Array([0x16, 0x03, 0x01, 0x02]));
  using client = await server.connect();
  assertEquals(await client.ask("GET k"), "404 NOT FOUND");
  silent[Symbol.dispose]();
});

tlsTest("others are answered 503, however many clients start no handshake", async (server) => {
  using only = await server.connect();
  assertEquals(await only.ask("GET k"), "404 NOT FOUND");
  const silent = await Promise.all(Array.from({ length: 80 }, () => Client.connect(server.port)));
  await eventually("a client is answered 503", async () => {
    try {
      using client = await server.connect();
      return (await client.line())?.startsWith("503 BUSY ") ?? false;
    } catch {
      return false; // Too many are being answered at once: this one was closed without a word.
    }
  });
  for (const client of silent) client[Symbol.dispose]();
  assertEquals(await only.ask("GET k"), "404 NOT FOUND");
}, ["--max-connections", "1"]);

tlsTest(
  "clients that start no handshake count as connections, and are closed when idle",
  async (server) => {
    const before = descriptorsOf(server.process);
    const silent = await Promise.all(
      Array.from({ length: 300 }, () => Client.connect(server.port)),
    );
    // Half of them start one and send no more.
    const half = silent.filter((_, i) => i % 2 === 0);
    await Promise.all(half.map((c) => c.send(new Uint8Array([0x16, 3, 1, 2])).catch(() => {})));
    // They are still here when the server has closed each of them.
    for (const client of silent) assertEquals(await client.rest(), "");
    await eventually(
      "it holds nothing for them",
      () => descriptorsOf(server.process) <= before + 5,
    );
    using client = await server.connect();
    assertEquals(await client.ask("GET k"), "404 NOT FOUND");
    for (const client of silent) {
      client[Symbol.dispose]();
    }
  },
  ["--max-connections", "50", "--idle-timeout", "1"],
);

tlsTest("a TLS client that takes no replies is closed after the write timeout", async (server) => {
  using other = await server.connect();
  assertEquals(await other.ask(`PUT k ${"v".repeat(1_000_000)}`), "200 OK");
  using stuck = await server.connect();
  await stuck.send("GET k\r\n".repeat(50));
  await eventually("it is there", async () => await connections(other) === 2);
  await eventually("it is gone", async () => await connections(other) === 1);
}, ["--write-timeout", "1"]);

tlsTest("SIGHUP loads a renewed certificate, and connected clients stay", async (server) => {
  using early = await server.connect();
  assertEquals(await early.ask("PUT k v"), "200 OK");
  assertEquals(await server.subject(), "CN = first");
  await makeCertificate(server.folder, "second");
  server.process.signal("SIGHUP");
  const files = `cert=${server.folder}/cert.pem key=${server.folder}/key.pem`;
  await server.printed(`The certificate was read again ${files}`);
  assertEquals(await server.subject(), "CN = second");
  assertEquals(await early.ask("GET k"), "200 OK v");
  using late = await server.connect();
  assertEquals(await late.ask("GET k"), "200 OK v");
});

tlsTest("SIGHUP with a broken certificate keeps the old one", async (server) => {
  using early = await server.connect();
  const key = Deno.readTextFileSync(`${server.folder}/key.pem`);
  await makeCertificate(server.folder, "other");
  const breaks: [string, () => void][] = [
    ["no PEM", () => Deno.writeTextFileSync(`${server.folder}/cert.pem`, "not a certificate\n")],
    ["a key of another one", () => {
      Deno.writeTextFileSync(`${server.folder}/key.pem`, key);
    }],
    ["no file", () => Deno.removeSync(`${server.folder}/cert.pem`)],
  ];
  for (const [what, breakIt] of breaks) {
    await makeCertificate(server.folder, "other");
    breakIt();
    const before = server.process.output.length;
    server.process.signal("SIGHUP");
    await server.printed("Cannot renew the certificate", before);
    assertEquals(await server.subject(), "CN = first", what);
    assertEquals(await early.ask("GET k"), "404 NOT FOUND", what);
  }
});

tlsTest("a second server on the port of a TLS server does not start", async (server) => {
  const port = String(server.port);
  const { code, stderr } = await runServer(["--memory", "--port", port, ...server.flags]);
  assertEquals(code, 1);
  assertStringIncludes(stderr, `Cannot listen on 127.0.0.1:${port}`);
});

testWithProgram("openssl", "wrong certificates stop the start, and say which file", async () => {
  const folder = tempFolder();
  await makeCertificate(folder, "first");
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  Deno.mkdirSync(`${folder}/other`);
  await makeCertificate(`${folder}/other`, "second");
  Deno.writeTextFileSync(`${folder}/empty.pem`, "");
  for (
    const [certFile, keyFile, named] of [
      [`${folder}/nowhere.pem`, key, "nowhere.pem"],
      [cert, `${folder}/nowhere.pem`, "nowhere.pem"],
      [`${folder}/empty.pem`, key, "empty.pem"],
      [key, cert, "cert.pem"],
      [cert, `${folder}/other/key.pem`, "other/key.pem"],
    ] as const
  ) {
    const { code, stderr } = await runServer(
      ["--memory", "--port", "0", "--tls-cert", certFile, "--tls-key", keyFile],
    );
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, named);
    assert(!stderr.includes("    at "), `a stack trace is no message: ${stderr}`);
  }
  Deno.removeSync(folder, { recursive: true });
});

testServer("a certificate needs its key, and a key its certificate", async () => {
  for (const flag of ["--tls-cert", "--tls-key"]) {
    const { code, stderr } = await runServer(["--memory", "--port", "0", flag, "file.pem"]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "--tls-cert and --tls-key go together");
  }
});

/** How many descriptors a server has open; by a program, because Deno reads /proc only with all permissions. */
function descriptorsOf({ pid }: ServerProcess): number {
  const { stdout } = new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).outputSync();
  return new TextDecoder().decode(stdout).split("\n").length;
}

/** How many connections the server says there are. */
async function connections(client: TlsClient): Promise<number> {
  await client.send("STATS\n");
  const lines: string[] = [];
  while (lines.at(-1) !== "200 OK") lines.push(await client.line() ?? "200 OK");
  return Number(lines.find((line) => line.startsWith("200-connections "))?.split(" ")[1]);
}
