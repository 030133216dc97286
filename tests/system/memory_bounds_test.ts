/**
 * What clients can make a server hold in memory: lines without an end, replies that nobody reads, idle
 * clients, values from large packets, and values beyond the cache. Memory is read from /proc.
 *
 * `KEYLINE_TEST_CLIENTS` sets how many clients come at once, `KEYLINE_TEST_MIB` how long the endless line
 * is, `KEYLINE_TEST_REPLIES` how many replies of a MiB are asked for at once.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Client } from "../support/client.ts";
import { numberFrom, ServerProcess, testServerOnLinux } from "../support/harness.ts";
import { GARBAGE_BYTES, inMib, memoryOf, MIB, report } from "../support/process_memory.ts";
import { RawClient } from "../support/raw_client.ts";
import { delay, eventually, figureOf } from "../support/waiting.ts";

const CLIENTS = numberFrom("KEYLINE_TEST_CLIENTS", 500);
const ENDLESS_LINE_MIB = numberFrom("KEYLINE_TEST_MIB", 64);
const REPLIES = numberFrom("KEYLINE_TEST_REPLIES", 500);
/** Makes V8 collect garbage often, so that what remains is what is held. */
const SMALL_HEAP = { DENO_V8_FLAGS: "--optimize-for-size,--max-semi-space-size=1" };
/** How often clients come and leave, 250 at a time. */
const WAVES = 25;

testServerOnLinux("an endless line costs no more memory than the limit and a packet", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using other = await server.connect();
  using client = await server.connect();
  assertEquals(await client.ask(`PUT k ${"v".repeat(MIB - 6)}`), "200 OK");
  const before = memoryOf(server);
  const part = new Uint8Array(MIB).fill(0x78);
  let most = 0;
  for (let sent = 0; sent < ENDLESS_LINE_MIB; sent++) {
    await client.send(part);
    if (sent % 16 === 15) assertEquals(await other.ask("GET nothing"), "404 NOT FOUND");
    most = Math.max(most, memoryOf(server));
  }
  report(`a line of ${ENDLESS_LINE_MIB} MiB cost ${inMib(most - before)}`);
  assert(most - before < ENDLESS_LINE_MIB * MIB / 4, `it cost ${inMib(most - before)}`);
  assertEquals(await client.ask(""), "400 BADREQUEST line too long");
  assertEquals((await client.ask("GET k"))?.length, "200 OK ".length + MIB - 6);
});

testServerOnLinux(
  "replies that are not read cost no memory, and arrive when they are",
  async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    using other = await server.connect();
    using client = await RawClient.connect(server.port);
    const value = "v".repeat(MIB - 6);
    await client.send(`PUT k ${value}\n`);
    await client.expect("200 OK\r\n", 1);
    const before = memoryOf(server);
    // All in one packet: 10,000 of these lines fit in what the server reads at once.
    await client.send("GET k\n".repeat(REPLIES));
    let most = 0;
    for (let asked = 0; asked < 20; asked++) {
      assertEquals(await other.ask("GET nothing"), "404 NOT FOUND");
      most = Math.max(most, memoryOf(server));
      await delay(20);
    }
    report(`${REPLIES} replies of a MiB that nobody read cost ${inMib(most - before)}`);
    assert(most - before < 2 * GARBAGE_BYTES, `it cost ${inMib(most - before)}`);
    await client.expect(`200 OK ${value}\r\n`, REPLIES);
    await client.send("GET nothing\n");
    await client.expect("404 NOT FOUND\r\n", 1);
  },
);

testServerOnLinux("an idle client costs at most 30 KiB, with half a line or without", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"], env: SMALL_HEAP });
  using other = await server.connect();
  for (let asked = 0; asked < 500; asked++) await other.ask("PUT k v");
  const before = memoryOf(server);
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.connect()));
  await Promise.all(clients.map((client, i) => i % 2 === 0 && client.send("PUT k half a li")));
  await eventually(
    "all are there",
    async () => await figureOf(other, "connections") === CLIENTS + 1,
  );
  const each = (memoryOf(server) - before) / CLIENTS / 1_024;
  report(`an idle client costs ${each.toFixed(1)} KiB`);
  closeAll(clients);
  assert(each <= 30, `it costs ${each.toFixed(1)} KiB`);
});

/** The longest line, 256 KiB of replies, and what an idle client costs; a tenth for what is not collected yet. */
const CLIENT_BYTES_MAX = 1.1 * (MIB + 256 * 1_024 + 32 * 1_024);

/** What a client may cost, by docs/options.md and SECURITY.md, and how to make it cost that. */
const WORST: readonly {
  name: string;
  /** Where one is set. */
  password?: string;
  clients: number;
  bytesMax: number;
  request: string;
}[] = [
  {
    name: "a client that does not read large values",
    clients: 40,
    bytesMax: CLIENT_BYTES_MAX,
    request: "GET large\n".repeat(20),
  },
  {
    name: "a client that does not read pages of long keys",
    clients: 40,
    bytesMax: CLIENT_BYTES_MAX,
    request: "KEYS\n".repeat(20),
  },
  {
    name: "a client in the middle of a long line that does not read small values",
    clients: 40,
    bytesMax: CLIENT_BYTES_MAX,
    request: `${"GET small\n".repeat(3_000)}PUT x ${"v".repeat(MIB - 10)}`,
  },
  {
    // That it holds 4 KiB of replies at most, connection_test.ts shows: the kernel takes thousands of them.
    name: "a client in the middle of a line that has not given the password",
    password: "sesame",
    clients: 400,
    bytesMax: 32 * 1_024,
    request: `${"HELP\n".repeat(3)}AUTH ${"x".repeat(1_000)}`,
  },
];

for (const { name, password, clients: count, bytesMax, request } of WORST) {
  testServerOnLinux(`${name} costs no more than the documents say`, async () => {
    await using server = await ServerProcess.start({
      args: ["--memory"],
      env: { ...SMALL_HEAP, ...(password !== undefined && { KEYLINE_PASSWORD: password }) },
    });
    using other = await server.connect();
    assertEquals(await other.ask("AUTH sesame"), "200 OK");
    assertEquals(await other.ask(`PUT large ${"v".repeat(MIB - 10)}`), "200 OK");
    for (let i = 0; i < 1_001; i++) {
      assertEquals(await other.ask(`PUT ${String(i).padEnd(1_024, "k")} v`), "200 OK");
    }
    await other.ask("PUT small v");
    const clients: RawClient[] = [];
    const memory: number[] = [];
    // The first waves make the heap as large as it is going to be.
    for (let wave = 0; wave < 4; wave++) {
      for (let i = 0; i < count; i++) {
        const client = await RawClient.connect(server.port);
        clients.push(client);
        client.send(request).catch(() => {}); // It ends when the client is closed.
      }
      await delay(1_000);
      for (let asked = 0; asked < 200; asked++) await other.ask("GET nothing");
      memory.push(memoryOf(server));
    }
    const each = (memory[3]! - memory[1]!) / 2 / count;
    report(`${name} costs ${(each / 1_024).toFixed(0)} KiB`);
    for (const client of clients) client[Symbol.dispose]();
    assert(each <= bytesMax, `it costs ${(each / 1_024).toFixed(0)} KiB`);
  });
}

testServerOnLinux("memory comes back when clients leave", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"], env: SMALL_HEAP });
  using other = await server.connect();
  const after: number[] = [];
  for (let wave = 0; wave < WAVES; wave++) {
    const clients = await Promise.all(Array.from({ length: 250 }, () => server.connect()));
    await Promise.all(clients.map((client) => client.send("PUT k v\nhalf a li")));
    await Promise.all(clients.map((client) => client.line()));
    closeAll(clients);
    await eventually("all have left", async () => await figureOf(other, "connections") === 1);
    after.push(memoryOf(server));
  }
  // The first waves make the heap as large as it is going to be.
  const growth = after.at(-1)! - after[4]!;
  report(`after each of ${WAVES} waves: ${after.map(inMib).join(", ")}`);
  assert(growth < 16 * MIB, `it grew by ${inMib(growth)} with ${(WAVES - 5) * 250} clients`);
});

for (const [where, flags] of [["in memory", ["--memory"]], ["on disk", []]] as const) {
  testServerOnLinux(
    `small values do not keep the packets that they came in, ${where}`,
    async () => {
      await using server = await ServerProcess.start({ args: flags });
      using client = await server.connect();
      // Long enough that V8 would keep a slice of the packet instead of a copy.
      const value = "a value of a few words";
      const filler = `GET ${"f".repeat(60_000)}\n`;
      const put = async (from: number, to: number) => {
        const packet = (i: number) => client.send(`PUT a-key-with-number-${i} ${value}\n${filler}`);
        const sent = (async () => {
          for (let i = from; i < to; i++) await packet(i);
        })();
        for (let i = from; i < to; i++) {
          assertEquals(await client.line(), "200 OK");
          assertMatch((await client.line())!, /^400 /);
        }
        await sent;
      };
      await put(0, 300);
      const before = memoryOf(server);
      await put(300, 4_800);
      const growth = memoryOf(server) - before;
      report(`4,500 values from packets of 60,000 bytes cost ${inMib(growth)}, ${where}`);
      assert(growth < 90 * MIB, `they cost ${inMib(growth)} of 270 MB`);
      assertEquals(await client.ask("GET a-key-with-number-4799"), `200 OK ${value}`);
    },
  );
}

testServerOnLinux("values beyond the cache cost no memory, stored or read", async () => {
  await using server = await ServerProcess.start({ args: ["--cache", "8"], env: SMALL_HEAP });
  using client = await server.connect();
  const value = "v".repeat(100_000);
  const ask = async (from: number, lineOf: (i: number) => string, expected: string) => {
    for (let i = from; i < from + 20; i++) await client.send(`${lineOf(i)}\n`);
    for (let i = from; i < from + 20; i++) assertEquals(await client.line(), expected);
  };
  const put = async (from: number, to: number) => {
    for (let i = from; i < to; i += 20) await ask(i, (i) => `PUT k-${i} ${value}`, "200 OK");
    for (let i = 0; i < to; i += 20) await ask(i, (i) => `GET k-${i}`, `200 OK ${value}`);
  };
  await put(0, 300);
  const before = memoryOf(server);
  await put(300, 1_500);
  const growth = memoryOf(server) - before;
  report(`120 MB of values beside a cache of 8 MiB cost ${inMib(growth)}`);
  assert(growth < GARBAGE_BYTES, `they cost ${inMib(growth)}`);
});

function closeAll(clients: readonly Client[]): void {
  for (const client of clients) client[Symbol.dispose]();
}
