/**
 * How a server stops: what is answered first, what it does not wait for, and what a second signal does.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Listener } from "../../server/connections/listener.ts";
import { Turn } from "../../server/turn/turn.ts";
import { Client } from "../support/client.ts";
import { eventOf, ServerProcess, testServer, testWith } from "../support/harness.ts";
import { contextWith } from "../support/context.ts";
import { delay, eventually } from "../support/waiting.ts";

/** How long the server may take to exit, in milliseconds. */
const END_MS_MAX = 30_000;

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  testServer(`${signal} stops it with code 0, once what was received is answered`, async () => {
    await using server = await ServerProcess.start();
    const [slow, ...others] = await connectAll(server, 20);
    await slow!.ask(`PUT large ${"x".repeat(100_000)}`);
    // More replies than any buffer holds: most are still to be made when the signal arrives.
    await slow!.send("GET large\r\n".repeat(100));
    await Promise.all(others.map((client) => client.send("INCR a\r\n".repeat(100))));
    // A first reply shows that the packet has been received.
    const first = await Promise.all([slow!, ...others].map((client) => client.line()));
    assert(first.every((line) => line?.startsWith("200 OK ")), String(first).slice(0, 100));
    const code = exitCode(server, signal);
    // The slow client reads nothing for a while: the server must wait for it.
    await delay(300);
    const replies = await Promise.all([slow!, ...others].map((client) => client.rest()));
    assertEquals(
      replies.map((text) => text.match(/^200 OK \w+\r\n/gm)?.length),
      Array(20).fill(99),
    );
    assertEquals(await code, 0);
    const last = server.output.trimEnd().split("\n").at(-1)!;
    assertMatch(
      eventOf(last),
      /^info {2}Keyline has stopped seconds=\d+ connections=20 .*commits=/,
    );
    for (const client of [slow!, ...others]) client[Symbol.dispose]();
    await using again = await ServerProcess.start({ data: server.data });
    using client = await again.connect();
    assertEquals(await client.ask("GET a"), "200 OK 1900");
  });
}

testServer(
  "a client that never reads does not hold up the stop, nor let others in",
  async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    using stuck = await stuckClient(server);
    const code = exitCode(server, "SIGTERM");
    // The listening socket is closed at once, while the server still waits for the client.
    await eventually("the socket is closed", async () => {
      try {
        (await server.connect())[Symbol.dispose]();
        return false;
      } catch (error) {
        return error instanceof Deno.errors.ConnectionRefused;
      }
    });
    assertEquals(await code, 0);
    stuck[Symbol.dispose]();
  },
);

testWith(
  ["net"],
  "a client that connects during shutdown is answered 503",
  async () => {
    const services = contextWith({});
    const { table, metrics } = services;
    const turn = new Turn({ table, metrics, onFatal: () => {} });
    const limits = { lineBytesMax: 100, idleTimeout: 0, writeTimeout: 60, connectionsMax: 10 };
    const address = { hostname: "127.0.0.1", port: 0 };
    const listener = new Listener(address, { services, turn, limits });
    const drained = listener.drain();
    try {
      using client = await Client.connect(listener.port);
      assertEquals(await client.rest(), "503 BUSY shutting down\r\n");
    } finally {
      await drained;
    }
  },
);

for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
  testServer(`a second ${signal} stops it at once`, async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    using _stuck = await stuckClient(server);
    let hasExited = false;
    server.status().then(() => hasExited = true);
    server.signal(signal);
    // Ctrl-C under `deno task` arrives twice at once, so a second signal counts only after a moment.
    await delay(50);
    server.signal(signal);
    await delay(700);
    assertEquals(hasExited, false);
    assertEquals(await exitCode(server, signal), code);
    assert(!server.output.includes("Keyline has stopped"), server.output);
  });
}

testServer("SIGHUP without a file to read is ignored, with a line in the log", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  assertEquals(await client.ask("PUT a 1"), "200 OK");
  server.signal("SIGHUP");
  const told = "warn  SIGHUP is ignored: there is no file to read again";
  await eventually("it is told", () => server.log.map(eventOf).includes(told));
  assertEquals(await client.ask("GET a"), "200 OK 1");
  assertEquals(await exitCode(server, "SIGTERM"), 0);
});

/** Sends a signal and returns the exit code; fails if the stop takes too long. */
async function exitCode(server: ServerProcess, signal: Deno.Signal): Promise<number> {
  const startedAt = performance.now();
  const { code } = await server.stop(signal);
  const took = Math.round(performance.now() - startedAt);
  assert(took < END_MS_MAX, `it took ${took} ms to exit`);
  return code;
}

function connectAll(server: ServerProcess, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => server.connect()));
}

/** A client that asks for more than any buffer holds, and reads nothing of it. */
async function stuckClient(server: ServerProcess): Promise<Client> {
  const client = await server.connect();
  await client.ask(`PUT a ${"x".repeat(1_000_000)}`);
  await client.send("GET a\r\n".repeat(50));
  // Another client's reply shows that the server has started to answer.
  using other = await server.connect();
  await other.ask("COUNT");
  return client;
}
