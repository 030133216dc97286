/**
 * The limits that a server puts on its clients: how many there are, how long they may be silent, how long
 * they may take no replies, and how long one may keep it busy.
 *
 * `KEYLINE_TEST_CLIENTS` sets how many clients come at once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { numberFrom, ServerProcess, testServer, testServerOnLinux } from "../support/harness.ts";
import { MIB, queued, report } from "../support/process_memory.ts";
import { ProjectCopy } from "../support/project_copy.ts";
import { RawClient } from "../support/raw_client.ts";
import { delay, eventually, figureOf } from "../support/waiting.ts";

const CLIENTS = numberFrom("KEYLINE_TEST_CLIENTS", 500);
/** As many requests as the server reads in one packet. */
const REQUESTS = 9_000;
/** A command that takes a millisecond. */
const COSTLY = `
import { okay } from "../server/reply.ts";
export default {
  summary: "Take a millisecond",
  arity: [],
  replies: { 200: "done" },
  handler() {
    for (const end = performance.now() + 1; performance.now() < end;);
    return okay;
  },
};
`;

testServer("one client too many is answered 503 until another leaves", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--max-connections", "3"] });
  using first = await server.connect();
  using second = await server.connect();
  const third = await server.connect();
  for (const client of [first, second, third]) {
    assertEquals(await client.ask("GET k"), "404 NOT FOUND");
  }
  using fourth = await server.connect();
  await fourth.send("PUT k refused\r\n");
  assertEquals(await fourth.rest(), "503 BUSY too many connections; try again later\r\n");
  third[Symbol.dispose]();
  await eventually("the next client is served", async () => {
    using next = await server.connect();
    return await next.ask("GET k") === "404 NOT FOUND";
  });
  await eventually("both are gone", async () => await figureOf(first, "connections") === 2);
});

testServer("an idle timeout closes a silent client and half a line, not a busy one", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--idle-timeout", "2"] });
  using silent = await server.connect();
  using half = await server.connect();
  using busy = await server.connect();
  using writing = await server.connect();
  await half.send("PUT half a li");
  await writing.send("PUT k ");
  const ends = Promise.all([silent.rest(), half.rest()]);
  let isOver = false;
  ends.then(() => isOver = true);
  for (let asked = 0; asked < 10 || !isOver; asked++) {
    assertEquals(await busy.ask("GET half"), "404 NOT FOUND");
    await writing.send("a part of a long line ");
    await delay(100);
  }
  assertEquals(await writing.ask("and its end"), "200 OK");
  assertEquals(await ends, ["", ""]);
});

testServer("without an idle timeout a silent client stays", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--write-timeout", "0.1"] });
  using silent = await server.connect();
  await delay(400);
  assertEquals(await silent.ask("GET k"), "404 NOT FOUND");
});

testServer("a write timeout closes a client that takes no replies, and only that one", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--write-timeout", "0.5"] });
  using other = await server.connect();
  using client = await server.connect();
  await client.ask(`PUT k ${"v".repeat(MIB - 6)}`);
  // More than a string may hold: what it is still to be answered must not be put together.
  await client.send("GET k\n".repeat(1_000));
  await eventually("it is closed", async () => await figureOf(other, "connections") === 1);
  const received = await client.rest();
  assert(received.length < 1_000 * MIB, "a client that was closed has received all");
  assertEquals((await other.ask("GET k"))?.length, "200 OK ".length + MIB - 6);
});

testServerOnLinux("a write timeout also closes a client that keeps sending", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--write-timeout", "1"] });
  using other = await server.connect();
  using client = await RawClient.connect(server.port);
  const value = "v".repeat(120_000);
  await client.send(`PUT k ${value}\n`);
  await client.expect("200 OK\r\n", 1);
  // So little of the last reply is left unsent that the server keeps reading.
  await fillUp({ server, client, reply: `200 OK ${value}\r\n`.length });
  await eventually("it is closed", async () => {
    await client.send("G").catch(() => {});
    return await figureOf(other, "connections") === 1;
  });
});

testServer("a write timeout spares a client that reads slowly", async () => {
  await using server = await ServerProcess.start({
    args: ["--memory", "--write-timeout", "1", "--max-line", String(40 * MIB)],
  });
  using client = await RawClient.connect(server.port);
  // One reply, much longer than what the kernel takes, so that a single write lasts for seconds.
  const value = "v".repeat(32 * MIB);
  await client.send(`PUT k ${value}\n`);
  await client.expect("200 OK\r\n", 1);
  await client.send("GET k\n");
  await client.expect(`200 OK ${value}\r\n`, 1, { pauseMs: 80 });
});

testServer("a packet full of costly requests does not keep the others waiting", async () => {
  using project = new ProjectCopy({ "costly.ts": COSTLY });
  await using server = await ServerProcess.start({
    args: ["--memory"],
    root: project.root,
  });
  using client = await RawClient.connect(server.port);
  using other = await server.connect();
  // Nine seconds of work, in one packet.
  await client.send("COSTLY\n".repeat(REQUESTS));
  const packet = client.expect("200 OK\r\n", REQUESTS).then(() => "packet", () => "left");
  await delay(20);
  // As many requests, one after the other, as would wait for longer where each had to wait its turn
  // after the packet, or after most of it.
  const others = (async () => {
    for (let i = 0; i < 40; i++) assertEquals(await other.ask("GET k"), "404 NOT FOUND");
    return "others";
  })();
  assertEquals(await Promise.race([packet, others]), "others");
  client[Symbol.dispose]();
  assertEquals(await packet, "left");
});

testServer("a server that runs out of descriptors keeps serving, and recovers", async () => {
  await using server = await ServerProcess.start({
    args: ["--memory"],
    under: ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh"],
  });
  using early = await server.connect();
  assertEquals(await early.ask("PUT k early"), "200 OK");
  const crowd = await Promise.all(Array.from({ length: 100 }, () => server.connect()));
  await eventually("it runs out", () => server.output.includes("Cannot accept a connection"));
  assertEquals(await early.ask("GET k"), "200 OK early");
  assert((await figureOf(early, "connections"))! < 64);
  for (const client of crowd) client[Symbol.dispose]();
  await eventually("it recovers", async () => {
    using late = await server.connect();
    return await late.ask("GET k") === "200 OK early";
  });
  await eventually(
    "the clients that left are gone",
    async () => await figureOf(early, "connections") === 1,
  );
});

testServer("clients that all connect at once are all served", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const begun = performance.now();
  const times = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      using client = await server.connect();
      const connected = performance.now() - begun;
      assertEquals(await client.ask("GET k"), "404 NOT FOUND");
      return { connected, answered: performance.now() - begun };
    }),
  );
  const p99 = (of: "connected" | "answered") =>
    times.map((time) => time[of]).sort((a, b) => a - b)[Math.ceil(CLIENTS * 0.99) - 1]!.toFixed(0);
  report(`${CLIENTS} at once: connected ${p99("connected")} ms, answered ${p99("answered")} (p99)`);
});

/**
 * Asks for a value and takes none of it, until the kernel holds all that it can for this client, and the
 * server has some of the last reply left.
 */
async function fillUp(
  { server, client, reply }: { server: ServerProcess; client: RawClient; reply: number },
): Promise<void> {
  const isLeft = (asked: number) => queued(server.port, client.port) < asked * reply;
  for (let asked = 1; asked < 1_000; asked++) {
    await client.send("GET k\n");
    // The kernel takes more than this from the first: no need to look.
    if (asked * reply < MIB) continue;
    await delay(10);
    if (!isLeft(asked)) continue;
    // It may be on its way only.
    await delay(400);
    if (isLeft(asked)) return;
  }
  throw new Error("The kernel takes all");
}
