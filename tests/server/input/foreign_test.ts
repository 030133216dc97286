/**
 * HTTP and TLS on the port of the protocol: curl, fetch and a browser try what they can, and the table
 * is as it was. Our verbs are HTTP's methods, so that without the refusal they would be obeyed.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Client } from "../../support/client.ts";
import { ServerProcess, tempFolder, testServer, testWithProgram } from "../../support/harness.ts";

/** What is in the table while others try to change it. */
const TABLE = new Map([["/", "root"], ["/k", "value"], ["k", "plain"]]);

/** Runs attempts against a server with that table, and shows that they have changed nothing. */
async function unchanged(
  attempt: (server: ServerProcess, client: Client) => Promise<void>,
): Promise<void> {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  for (const [key, value] of TABLE) assertEquals(await client.ask(`PUT ${key} ${value}`), "200 OK");
  await attempt(server, client);
  for (const [key, value] of TABLE) {
    assertEquals(await client.ask(`GET ${key}`), `200 OK ${value}`);
  }
  assertEquals(await client.ask("COUNT"), `200 OK ${TABLE.size}`);
}

function httpTest(name: string, attempt: Parameters<typeof unchanged>[0]): void {
  testServer(name, () => unchanged(attempt));
}

httpTest("an HTTP request is refused once, and nothing after it is run", async (server) => {
  for (
    const request of [
      "GET /k HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "DELETE /k HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nCLEAR\n",
      "POST / HTTP/1.0\r\n\r\nCLEAR\nCLEAR\n",
      "POST / HTTP/3\nCLEAR\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nCLEAR\n",
      "hOsT:\r\nCLEAR\r\n",
    ]
  ) {
    using client = await server.connect();
    await client.send(request);
    assertMatch(await client.rest(), /^400 BADREQUEST [ -~]+\r\n$/, request);
  }
});

httpTest(
  "a line that starts with Host: closes the connection wherever it comes",
  async (server) => {
    using client = await server.connect();
    await client.send("GET k\nPOST /\nhost: localhost\nCLEAR\n");
    assertMatch(await client.rest(), /^200 OK plain\r\n220 [^\r]+\r\n400 [^\r]+\r\n$/);
  },
);

httpTest("a request line that is too long is stopped at its Host header", async (server) => {
  using client = await server.connect();
  const path = "x".repeat(1_100_000);
  await client.send(`POST /${path} HTTP/1.1\r\nHost: localhost\r\n\r\nCLEAR\n`);
  assertMatch(await client.rest(), /^400 [^\r]+\r\n400 [^\r]+\r\n$/);
});

httpTest("what only looks like HTTP is served", async (server) => {
  using client = await server.connect();
  assertEquals(await client.ask("GET k"), "200 OK plain");
  assertEquals(await client.ask("GET HTTP/1.1"), "404 NOT FOUND");
  assertEquals(
    await client.ask("GET k HTTP/1.1"),
    "400 BADREQUEST too many arguments; usage: GET key",
  );
  assertEquals(await client.ask("PUT k2 a HTTP/1.1"), "200 OK");
  assertEquals(await client.ask("GET k2"), "200 OK a HTTP/1.1");
  assertEquals(await client.ask("PUT host: Host: me"), "200 OK");
  assertEquals(await client.ask("GET host:"), "200 OK Host: me");
  for (const key of ["k2", "host:"]) assertEquals(await client.ask(`DELETE ${key}`), "200 OK");
  using other = await server.connect();
  assertEquals(await other.ask("PUT k HTTP/x"), "200 OK");
  assertEquals(await other.ask("PUT k plain"), "200 OK");
});

httpTest("a TLS hello is answered 400 and closed", async (server) => {
  using client = await server.connect();
  await client.send(new Uint8Array([0x16, 0x03, 0x01, 0x00, 0x05, 0x0a, 0x43, 0x4c]));
  await client.send("\nCLEAR\n");
  assertMatch(await client.rest(), /^400 BADREQUEST [ -~]+\r\n$/);
  await assertRejects(async () => {
    using socket = await Deno.connectTls({ hostname: "127.0.0.1", port: server.port });
    await socket.handshake();
  }, Error);
});

httpTest("the first byte of a TLS hello is only a bad character later on", async (server) => {
  using client = await server.connect();
  await client.send("GET k");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertMatch((await client.ask("\x16"))!, /^400 /);
  assertEquals(await client.ask("\x16"), "220 UNSUPPORTED");
  assertEquals(await client.ask("GET k"), "200 OK plain");
});

httpTest("fetch gets no answer and changes nothing", async (server) => {
  const url = `http://127.0.0.1:${server.port}/`;
  const requests: [string, RequestInit][] = [
    [url, {}],
    [`${url}k`, { method: "DELETE" }],
    [`${url}k`, { method: "PUT", body: "other" }],
    [url, { method: "POST", body: "CLEAR\n", keepalive: true }],
    [url, { method: "POST", body: "\r\nCLEAR\r\nDELETE k\r\n", keepalive: true }],
    [url, { method: "POST", body: "CLEAR\n".repeat(100_000) }],
  ];
  for (const [url, init] of requests) {
    await assertRejects(async () => await (await fetch(url, init)).body?.cancel(), TypeError);
  }
});

testWithProgram("curl", "curl changes nothing", () =>
  unchanged(async ({ port }) => {
    const url = `http://127.0.0.1:${port}/k`;
    for (
      const args of [
        [url],
        ["-X", "DELETE", url],
        ["-X", "PUT", "--data-binary", "other", url],
        ["-T", "/dev/null", url],
        ["--data-binary", "CLEAR", url],
        ["--data-binary", "\nCLEAR\n", url],
        ["-0", "-H", "Host:", "--data-binary", "\nCLEAR\n", url],
        ["--http2-prior-knowledge", url],
        ["--request-target", "k", "-X", "DELETE", url],
        ["-H", "Host:", "-H", "x: y\r\nCLEAR", url],
      ]
    ) {
      const { stdout } = await new Deno.Command("curl", {
        args: ["--silent", "--max-time", "5", "--noproxy", "*", "--http0.9", ...args],
        stdin: "null",
        stderr: "null",
      }).output();
      const answer = new TextDecoder().decode(stdout);
      // What it shows is our refusal; HTTP/2 shows nothing.
      if (args.includes("--http2-prior-knowledge")) assertEquals(answer, "");
      else assertMatch(answer, /^400 BADREQUEST [ -~]+\r\n$/, args.join(" "));
    }
  }));

testWithProgram(
  "chromium",
  "a page in a browser changes nothing",
  () =>
    unchanged(async (server, client) => {
      const page = attackingPage(server.port);
      await using site = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        () => new Response(page, { headers: { "content-type": "text/html" } }),
      );
      const profile = tempFolder();
      const browser = startBrowser(`http://127.0.0.1:${site.addr.port}/`, profile);
      try {
        // Without this the table might be as it was because nothing was tried.
        for (let waited = 0; await refusals(client) < ATTACKS; waited += 100) {
          assert(waited < 60_000, `Only ${await refusals(client)} attempts came within a minute`);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      } finally {
        browser.kill("SIGTERM");
        await browser.status;
        await removeSoon(profile);
      }
    }),
);

/** How many requests the page below makes at least, each in a way that needs nobody's consent. */
const ATTACKS = 5;

/** A page that sends lines of our protocol to a port in every way that the web allows. */
function attackingPage(port: number): string {
  const url = `http://127.0.0.1:${port}/k`;
  return `<!doctype html>
    <iframe name="answer"></iframe>
    <form method="post" action="${url}" enctype="text/plain" target="answer">
      <textarea name="x\nCLEAR\ny">\nCLEAR\nDELETE k\n</textarea>
    </form>
    <script>
      const body = "\\r\\nCLEAR\\r\\nDELETE k\\r\\n";
      fetch("${url}", { method: "POST", mode: "no-cors", body }).catch(() => {});
      fetch("${url}", { method: "POST", mode: "no-cors", body, keepalive: true }).catch(() => {});
      navigator.sendBeacon("${url}", body);
      new WebSocket("ws://127.0.0.1:${port}/k");
      new Image().src = "${url}?%0aCLEAR%0a";
      document.forms[0].submit();
    </script>`;
}

function startBrowser(url: string, profile: string): Deno.ChildProcess {
  const flags = ["headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"];
  const quiet = ["disable-background-networking", "disable-component-update", "disable-sync"];
  return new Deno.Command("chromium", {
    args: [
      ...[...flags, ...quiet].map((flag) => `--${flag}`),
      `--user-data-dir=${profile}`,
      "--remote-debugging-port=0", // Without it, headless ends once the page has loaded.
      url,
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** Removes a folder into which processes that are about to end may still write. */
async function removeSoon(folder: string): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return Deno.removeSync(folder, { recursive: true });
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** How many requests the server has refused as no lines of its protocol. */
async function refusals(client: Client): Promise<number> {
  await client.send("STATS\n");
  const line = (await client.reply()).find((line) => line.startsWith("200-requests_malformed "));
  return Number(line!.split(" ")[1]);
}
