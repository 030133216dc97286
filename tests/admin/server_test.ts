/**
 * The admin port over HTTP: who may come in, what each path answers, and what hostile clients get.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runServer, ServerProcess, tempFolder, testServer } from "../support/harness.ts";
import { AdminServer, eventually } from "./admin_server.ts";

const PASSWORD = "open sesame: ö";

testServer("without --admin nothing of it is there", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  assert(!/admin|See it run/.test(server.output), server.output);
});

testServer("/healthz and /readyz say that it is alive and can commit", async () => {
  await using server = await AdminServer.start();
  assertEquals(await server.get("healthz"), { status: 200, body: "alive\n" });
  assertEquals(await server.get("readyz"), { status: 200, body: "ready\n" });
});

testServer("/readyz says no while the server shuts down", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  using client = await server.process.connect();
  // What this client does not read is waited for.
  await client.ask(`PUT a ${"x".repeat(1_000_000)}`);
  await client.send("GET a\r\n".repeat(100));
  server.process.signal("SIGTERM");
  await eventually(async () => (await server.get("readyz")).status === 503 || undefined);
  assertEquals(await server.get("readyz"), { status: 503, body: "shutting down\n" });
  assertEquals((await server.get("healthz")).status, 200);
});

testServer("nothing is changed: only GET and HEAD are answered", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    assertEquals((await server.get("api/keys", { method })).status, 405, method);
  }
  const head = await fetch(`${server.url}metrics`, { method: "HEAD" });
  assertEquals([head.status, await head.text()], [200, ""]);
  assertEquals((await server.get("nothing")).status, 404);
});

testServer("a page of keys, and a value with its size, version and expiry", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  const puts = Array.from({ length: 250 }, (_, i) => `PUT k${1_000 + i} v\r\n`);
  await client.send(puts.join(""));
  for (const _ of puts) assertEquals(await client.line(), "200 OK");
  for (const line of ["PUT ö <b>x</b>  ", "EXPIRE ö 100"]) {
    assertEquals(await client.ask(line), "200 OK");
  }
  const keys: string[] = [];
  for (let after = "", more = true; more;) {
    const { body } = await server.get(`api/keys?prefix=k&after=${after}`);
    const page = JSON.parse(body);
    assert(page.keys.length <= 100);
    keys.push(...page.keys);
    ({ more } = page);
    after = page.keys.at(-1);
  }
  assertEquals(keys, Array.from({ length: 250 }, (_, i) => `k${1_000 + i}`));
  const { body } = await server.get(`api/value?key=${encodeURIComponent("ö")}`);
  const { secondsLeft, ...value } = JSON.parse(body);
  const expected = { key: "ö", version: "251", size: 10, value: "<b>x</b>  ", isWhole: true };
  assertEquals(value, expected);
  assert(secondsLeft > 90 && secondsLeft <= 100, String(secondsLeft));
  const gone = await server.get("api/value?key=nosuch");
  assertEquals([gone.status, JSON.parse(gone.body).why], [404, "404 NOT FOUND"]);
});

testServer("what the page asks for is not counted among the requests of clients", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  for (const path of ["api/keys", "api/value?key=a", "api/value?key=b"]) await server.get(path);
  assertEquals((await server.get("api/value?key=a")).status, 200);
  const { body } = await server.get("metrics");
  const counted = [...body.matchAll(/^keyline_requests_total{operation="(\w+)".*} (\d+)$/gm)];
  const answered = counted.filter(([, , count]) => count !== "0");
  assertEquals(answered.map(([, operation, count]) => [operation, count]), [["put", "1"]]);
  assertMatch(body, /^keyline_turn_requests_count 1$/m);
});

testServer("of a huge value only the beginning is shown, and no character is cut", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  assertEquals(await client.ask(`PUT big x${"😀".repeat(200_000)}`), "200 OK");
  const { body } = await server.get("api/value?key=big");
  const { value, size, isWhole } = JSON.parse(body);
  assertEquals([size, isWhole, value.length], [800_001, false, 4_095]);
  assert(value.isWellFormed() && body.length < 20_000);
});

testServer("what is no key is refused, and no second line can be smuggled in", async () => {
  await using server = await AdminServer.start();
  using client = await server.process.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  const evil = ["a%0aCLEAR", "a%0d%0aCLEAR", "a%20b", "%00", "%7f", "x".repeat(1_025), "%c3%28%0a"];
  for (const key of evil) {
    for (
      const path of [`api/value?key=${key}`, `api/keys?prefix=${key}`, `api/keys?after=${key}`]
    ) {
      const { status } = await server.get(path);
      assertEquals(status, 400, path);
    }
  }
  assertEquals((await server.get("api/value")).status, 400);
  assertEquals(await client.ask("COUNT"), "200 OK 1");
});

testServer("a browser of keys whose operations are disabled says so", async () => {
  await using server = await AdminServer.start({ args: ["--memory", "--disable", "keys"] });
  const { status, body } = await server.get("api/keys");
  assertEquals(status, 502);
  assertStringIncludes(body, "--disable");
});

testServer("only its own name opens it, so that no other page can take its place", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const { port } = server;
  const cases: [headers: Record<string, string>, status: number][] = [
    [{ host: `127.0.0.1:${port}` }, 200],
    [{ host: `localhost:${port}` }, 200],
    [{ host: `[::1]:${port}` }, 200],
    [{ host: `evil.example:${port}` }, 403],
    [{ host: `127.0.0.1.evil.example:${port}` }, 403],
    [{ host: `localhost:${port}`, origin: `http://localhost:${port}` }, 200],
    [{ host: `localhost:${port}`, origin: "http://evil.example" }, 403],
    [{ host: `localhost:${port}`, origin: `http://localhost:${port + 1}` }, 403],
    [{ host: `localhost:${port}`, origin: "null" }, 403],
    [{ host: `localhost:${port}`, "sec-fetch-site": "cross-site" }, 403],
    [{ host: `localhost:${port}`, "sec-fetch-site": "same-origin" }, 200],
  ];
  for (const [headers, status] of cases) {
    for (const path of ["/api/keys", "/metrics", "/"]) {
      assertEquals(await server.statusFor(path, headers), status, JSON.stringify(headers));
    }
  }
  const link = { host: `localhost:${port}`, "sec-fetch-site": "cross-site" };
  assertEquals(await server.statusFor("/", { ...link, "sec-fetch-mode": "navigate" }), 200);
  // A probe asks by whatever address it knows.
  assertEquals(await server.statusFor("/healthz", { host: "10.0.0.1" }), 200);
});

testServer("with a password everything but health asks for it", async () => {
  await using server = await AdminServer.start({
    args: ["--memory"],
    env: { KEYLINE_PASSWORD: PASSWORD },
  });
  const encoded = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const right = { authorization: `Basic ${encoded(`any:${PASSWORD}`)}` };
  for (
    const path of ["", "metrics", "events", "api/keys", "api/value?key=a", "live.js", "nosuch"]
  ) {
    const response = await fetch(server.url + path);
    await response.body?.cancel();
    assertEquals(response.status, 401, path);
    assertMatch(response.headers.get("www-authenticate")!, /^Basic realm=/);
  }
  for (const path of ["healthz", "readyz"]) assertEquals((await server.get(path)).status, 200);
  const wrong = [
    ...[`Basic ${encoded("any:no")}`, `Basic ${encoded(PASSWORD)}`, "Basic %%%", "Basic"],
    ...["Bearer no", `Digest ${PASSWORD}`],
  ];
  for (const authorization of wrong) {
    assertEquals((await server.get("metrics", { headers: { authorization } })).status, 401);
  }
  assertEquals((await server.get("metrics", { headers: right })).status, 200);
  // With the password, a name of its own is no way in for others.
  const host = "keyline.internal:9395";
  assertEquals(await server.statusFor("/metrics", { host, ...right }), 200);
  assertEquals(await server.statusFor("/metrics", { host }), 401);
});

testServer("a bearer of the password comes in as well", async () => {
  const env = { KEYLINE_PASSWORD: "sesame" };
  await using server = await AdminServer.start({ args: ["--memory"], env });
  const headers = { authorization: "Bearer sesame" };
  assertEquals((await server.get("metrics", { headers })).status, 200);
});

testServer("on another address it starts only with a password, even with --insecure", async () => {
  const args = ["--memory", "--port", "0", "--admin", "0", "--admin-host", "0.0.0.0"];
  const { code, stderr } = await runServer([...args, "--insecure"]);
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Cannot open the admin port on 0.0.0.0 without a password");
  await using _server = await AdminServer.start({
    args: ["--memory", "--admin-host", "0.0.0.0"],
    env: { KEYLINE_PASSWORD: PASSWORD },
  });
});

testServer("a port that is taken ends the start, and says what to do", async () => {
  const data = tempFolder();
  try {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = taken.addr as Deno.NetAddr;
    const { code, stderr } = await runServer(
      ["--port", "0", "--data", data, "--admin", String(port)],
    );
    assertEquals(code, 1);
    const why =
      "another program is listening there. Stop it, or choose another port with --admin.\n";
    assertEquals(
      stderr,
      `Keyline: Cannot open the admin port on 127.0.0.1:${port}: ${why}`,
    );
  } finally {
    Deno.removeSync(data, { recursive: true });
  }
});

testServer("each answer lets a browser load and run nothing of others", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  for (const path of ["", "live.js", "uplot.js", "metrics", "healthz", "nosuch", "api/keys"]) {
    const response = await fetch(server.url + path);
    await response.text();
    const policy = response.headers.get("content-security-policy")!;
    assertStringIncludes(policy, "default-src 'none'; script-src 'self';");
    assert(!/unsafe|https?:|\*/.test(policy), policy);
    assertEquals(response.headers.get("x-content-type-options"), "nosniff");
    assertEquals(response.headers.get("access-control-allow-origin"), null);
  }
});

testServer("slow clients are closed, and let others in again", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const slow = await Promise.all(Array.from({ length: 64 }, async () => {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await socket.write(new TextEncoder().encode("GET / HTTP/1.1\r\nX: "));
    return socket;
  }));
  // All places are taken; the lines know nothing of it.
  using client = await server.process.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  await eventually(async () => {
    try {
      return (await server.get("healthz")).status === 200 || undefined;
    } catch {
      return undefined; // Closed at once, because there are too many.
    }
  });
  for (const socket of slow) socket.close();
});

testServer("whoever keeps many connections open shuts out no probe", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const open = async (request: string) => {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await socket.write(new TextEncoder().encode(request));
    await socket.read(new Uint8Array(4_096));
    return socket;
  };
  const watcher = await open("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const kept = [watcher];
  for (let i = 0; i < 100; i++) kept.push(await open("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  for (let i = 0; i < 25; i++) {
    const health = await server.statusFor(i % 2 === 0 ? "/readyz" : "/healthz", { host: "probe" });
    assertEquals(health, 200);
  }
  assert(await watcher.read(new Uint8Array(4_096)), "who watches stays");
  for (const socket of kept) socket.close();
});

testServer("wrong passwords that wait hold up no probe, and more are not looked at", async () => {
  const env = { KEYLINE_PASSWORD: "sesame" };
  await using server = await AdminServer.start({ args: ["--memory"], env });
  const guesses = Array.from(
    { length: 200 },
    () =>
      server.get("metrics", { headers: { authorization: "Bearer wrong" } }).then(
        ({ status }) => status,
        () => 0, // Its place went to another one.
      ),
  );
  assertEquals(await server.statusFor("/readyz", { host: "probe" }), 200);
  const answers = await Promise.all(guesses);
  assert(answers.includes(429), answers.join());
  assertEquals(answers.filter((status) => ![0, 401, 429].includes(status)), []);
  const headers = { authorization: "Bearer sesame" };
  assertEquals((await server.get("metrics", { headers })).status, 200);
});

testServer("what a stranger sends is not logged", async () => {
  await using server = await AdminServer.start({
    args: ["--memory"],
    env: { KEYLINE_PASSWORD: PASSWORD },
  });
  const before = server.process.log.length;
  const long = "A".repeat(9_000);
  const rest = "Host: localhost\r\nConnection: close\r\n\r\n";
  for (const target of [`//:${long}`, `http://[${long}`, `//%${long}`, "http://:80:80/"]) {
    const answer = await server.raw(`GET ${target} HTTP/1.1\r\n${rest}`);
    assertMatch(answer, /^HTTP\/1\.1 40[01] /, target.slice(0, 20));
  }
  for (const header of ["Host", "Origin", "Authorization", "Last-Event-ID", "Sec-Fetch-Site"]) {
    for (const value of [long, "http://[", "Basic ////", "\xff"]) {
      await server.raw(`GET / HTTP/1.1\r\n${header}: ${value}\r\n${rest}`);
    }
  }
  await server.process.stop();
  const [stopped, ...others] = server.process.log.slice(before);
  assertMatch(stopped!, / Keyline has stopped /);
  assertEquals(others, []);
});

testServer(
  "requests that are not waited for, bodies and huge headers end a connection",
  async () => {
    await using server = await AdminServer.start({ args: ["--memory"] });
    const get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const answers = (await server.raw(get.repeat(1_000))).match(/^HTTP\/1\.1 200 /gm) ?? [];
    assert(answers.length <= 1, String(answers.length));
    const body = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n";
    assertEquals(await server.raw(body), "");
    const header = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`;
    assertMatch(await server.raw(header), /^(HTTP\/1\.1 431 |$)/);
    assertEquals((await server.get("healthz")).status, 200);
  },
);

testServer("nothing that is sent ends the server", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const close = "Connection: close\r\n\r\n";
  const requests = [
    "\r\n\r\n",
    "\x16\x03\x01\x02\r\n\r\n",
    `GET //evil HTTP/1.1\r\nHost: localhost\r\n${close}`,
    `GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n${close}`,
    `GET /%zz?%zz=%ff HTTP/1.1\r\nHost: localhost\r\n${close}`,
    `GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n${close}`,
    `GET * HTTP/1.1\r\nHost: localhost\r\n${close}`,
    `GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n${close}`,
    `GET / HTTP/1.0\r\n\r\n`,
    `GET /events HTTP/1.1\r\nHost: evil\r\n${close}`,
    `CONNECT evil:80 HTTP/1.1\r\nHost: localhost\r\n${close}`,
    `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n${close}`,
  ];
  for (const request of requests) assert(!(await server.raw(request)).includes("root:"), request);
  assertEquals((await server.get("healthz")).status, 200);
  using client = await server.process.connect();
  assertEquals(await client.ask("COUNT"), "200 OK 0");
});
