/**
 * What clients can do to a server, and what it costs: lines without an end, replies that nobody
 * reads, connections by the hundred. Each test looks from outside, over real sockets; memory is read
 * from /proc.
 *
 * `KEYLINE_TEST_CLIENTS` sets how many clients come at once (500), `KEYLINE_TEST_MIB` how long the
 * endless line is (64), `KEYLINE_TEST_REPLIES` how many replies of a MiB are asked for at once (500).
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { contextOfAll } from "../support/context.ts";
import {
  type Client,
  numberFrom,
  ROOT,
  ServerProcess,
  tempFolder,
  testServer,
  testServerOnLinux,
} from "../support/harness.ts";
import { delay, eventually, figureOf } from "../support/waiting.ts";

const MIB = 1_048_576;
const CLIENTS = numberFrom("KEYLINE_TEST_CLIENTS", 500);
const ENDLESS_LINE_MIB = numberFrom("KEYLINE_TEST_MIB", 64);
const REPLIES = numberFrom("KEYLINE_TEST_REPLIES", 500);
/** What garbage may add to a measured figure, in bytes: V8 and malloc don't give all back at once. */
const GARBAGE_BYTES = 48 * MIB;
/** Makes V8 collect garbage often, so that what remains is what is held. */
const SMALL_HEAP = { DENO_V8_FLAGS: "--optimize-for-size,--max-semi-space-size=1" };
/** As many requests as the server reads in one packet. */
const REQUESTS = 9_000;
/** A command that takes a millisecond. */
const COSTLY = `
import { okay } from "../server/reply.ts";
export default {
  summary: "Take a millisecond",
  arity: [],
  replies: { 200: "it is over" },
  handler() {
    for (const end = performance.now() + 1; performance.now() < end;);
    return okay;
  },
};
`;
/** How often clients come and leave, 250 at a time. */
const WAVES = 25;

// Input

testServerOnLinux("a line without an end costs no more than the limit and a packet", async () => {
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

testServer("a client too many is told that the server is busy, until one leaves", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--max-connections", "3"] });
  using first = await server.connect();
  using second = await server.connect();
  const third = await server.connect();
  for (const client of [first, second, third]) {
    assertEquals(await client.ask("GET k"), "404 NOT FOUND");
  }
  using fourth = await server.connect();
  await fourth.send("PUT k refused\r\n");
  assertMatch(await fourth.rest(), /^503 BUSY [^\r\n]+\r\n$/);
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

// Output

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

testServerOnLinux("a write timeout also closes a client that goes on sending", async () => {
  await using server = await ServerProcess.start({ args: ["--memory", "--write-timeout", "1"] });
  using other = await server.connect();
  using client = await RawClient.connect(server.port);
  const value = "v".repeat(120_000);
  await client.send(`PUT k ${value}\n`);
  await client.expect("200 OK\r\n", 1);
  // So little of the last reply is left unsent that the server goes on reading.
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

testServerOnLinux("replies that are not read cost no memory, and come when they are", async () => {
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
});

testServer("a packet full of costly requests does not keep the others waiting", async () => {
  const folder = tempFolder();
  const parts = [
    "main.ts",
    "deno.json",
    "server",
    "tables",
    "commands",
    "client",
    "tools",
    "offline",
  ];
  new Deno.Command("cp", { args: ["-r", ...parts, folder], cwd: ROOT }).outputSync();
  Deno.writeTextFileSync(`${folder}/commands/costly.ts`, COSTLY);
  await using server = await ServerProcess.start({
    args: ["--memory"],
    root: new URL(`file://${folder}/`),
  });
  using client = await RawClient.connect(server.port);
  using other = await server.connect();
  // Nine seconds of work, in one packet.
  await client.send("COSTLY\n".repeat(REQUESTS));
  const packet = client.expect("200 OK\r\n", REQUESTS).then(() => "packet", () => "left");
  await delay(20);
  // As many requests, one after the other, as would wait for longer where each had to wait its turn
  // behind the packet, or behind most of it.
  const others = (async () => {
    for (let i = 0; i < 40; i++) assertEquals(await other.ask("GET k"), "404 NOT FOUND");
    return "others";
  })();
  assertEquals(await Promise.race([packet, others]), "others");
  client[Symbol.dispose]();
  assertEquals(await packet, "left");
  Deno.removeSync(folder, { recursive: true });
});

// Connections

testServer("a server out of descriptors goes on, and recovers", async () => {
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
    "those that left are gone",
    async () => await figureOf(early, "connections") === 1,
  );
});

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

testServerOnLinux("what clients cost comes back when they leave", async () => {
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

testServer("clients that come all at once are all served", async () => {
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

for (const [where, flags] of [["in memory", ["--memory"]], ["on disk", []]] as const) {
  testServerOnLinux(`small values don't hold the packets that they came in, ${where}`, async () => {
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
  });
}

// Keys, verbs and texts that are meant to hurt

testServer("names of Object.prototype are keys like others, and no verbs", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  for (const name of Object.getOwnPropertyNames(Object.prototype)) {
    assertEquals(await client.ask(`GET ${name}`), "404 NOT FOUND");
    assertEquals(await client.ask(`PUT ${name} {"polluted":1}`), "200 OK");
    assertEquals(await client.ask(`GET ${name}`), '200 OK {"polluted":1}');
    assertEquals(await client.ask("GET polluted"), "404 NOT FOUND");
    assertEquals(await client.ask(`${name} a b`), "220 UNSUPPORTED");
    assertEquals(await client.ask(`HELP ${name}`), "404 NOT FOUND");
    assertEquals(await client.ask(`DELETE ${name}`), "200 OK");
  }
});

testServer("keys that fall into one bucket of a hash table are served", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  // V8 hashes the text of a whole number below 2^32 to its low bits, whatever its seed.
  const keys = Array.from({ length: 4_000 }, (_, i) => String(i * 65_536));
  await client.send(keys.map((key) => `PUT ${key} ${key}\n`).join(""));
  for (const _ of keys) assertEquals(await client.line(), "200 OK");
  await client.send(keys.map((key) => `GET ${key}\n`).join(""));
  for (const key of keys) assertEquals(await client.line(), `200 OK ${key}`);
});

testServer("a reply about an error never holds what the client sent", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  const { registry } = await contextOfAll();
  const verbs = [...registry].map(({ verb }) => verb).filter((verb) => verb !== "QUIT");
  const nasty = ["\x1b[2J", "\x07", "\b\b\b", "\x00", "\x7f", "\x1b]0;title\x07", "a\rb", "\x9b2J"];
  for (const text of nasty) {
    const fields = [text, `k ${text}`, `k 1 ${text}`, `${text} ${text} ${text} ${text}`];
    const lines = verbs.flatMap((verb) => fields.map((rest) => `${verb} ${rest}`));
    for (const line of [text, `${text} k`, ...lines]) {
      await client.send(`${line}\n`);
      const reply = (await client.reply()).join("\n");
      if (reply.startsWith("200")) continue; // What is no control character by the protocol, as a value.
      assert(/^[ -~]+$/.test(reply), `${JSON.stringify(reply)} to ${JSON.stringify(line)}`);
      assert(!reply.includes("title"), `${JSON.stringify(reply)} to ${JSON.stringify(line)}`);
    }
  }
});

testServer("only LF ends a line: not U+2028, U+2029, U+0085, VT or FF", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  using client = await server.connect();
  const value = "one\u2028CLEAR\u2029Host: x\u0085QUIT";
  assertEquals(await client.ask(`PUT k\u2028k ${value}`), "200 OK");
  assertEquals(await client.ask("GET k\u2028k"), `200 OK ${value}`);
  assertEquals(await client.ask("\u2028"), "220 UNSUPPORTED");
  assertEquals(await client.ask("x\u2028Host: y"), "220 UNSUPPORTED");
  assertEquals(await client.ask("GET\u2028k"), "220 UNSUPPORTED");
  assertStringIncludes((await client.ask("PUT k a\vCLEAR\fCLEAR"))!, "400 BADREQUEST");
  assertEquals(await client.ask("GET k\u2028k"), `200 OK ${value}`);
});

/** A client that reads when it is told to, and compares bytes, so that gigabytes are quick. */
class RawClient implements Disposable {
  readonly #socket: Deno.TcpConn;

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  static async connect(port: number): Promise<RawClient> {
    return new RawClient(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** The port at this end. */
  get port(): number {
    return (this.#socket.localAddr as Deno.NetAddr).port;
  }

  async send(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** Reads one text so many times, pausing where it is told to, and fails at the first other byte. */
  async expect(text: string, times: number, { pauseMs = 0 } = {}): Promise<void> {
    const one = new TextEncoder().encode(text);
    const repeated = new Uint8Array(one.length * Math.ceil(MIB / one.length + 1));
    for (let at = 0; at < repeated.length; at += one.length) repeated.set(one, at);
    const buffer = new Uint8Array(MIB);
    let pauseAt = MIB;
    for (let got = 0; got < one.length * times;) {
      const left = one.length * times - got;
      const length = await this.#socket.read(buffer.subarray(0, Math.min(left, MIB)));
      assert(length !== null, `the server closed the connection after ${got} bytes`);
      const from = got % one.length;
      const isSame = Buffer.compare(
        buffer.subarray(0, length),
        repeated.subarray(from, from + length),
      ) === 0;
      assert(isSame, `other bytes than expected, ${got} bytes from the begin`);
      got += length;
      if (pauseMs > 0 && got >= pauseAt) {
        pauseAt += MIB;
        await delay(pauseMs);
      }
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
  }
}

function closeAll(clients: readonly Client[]): void {
  for (const client of clients) client[Symbol.dispose]();
}

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

/** How many bytes the kernel holds on the way from one port of this machine to another. */
function queued(from: number, to: number): number {
  const sockets = readProc("net/tcp");
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  const queues = (here: number, there: number) =>
    new RegExp(`:${hex(here)} \\w+:${hex(there)} \\w+ (\\w+):(\\w+)`).exec(sockets) ?? [];
  const [, sending = "0"] = queues(from, to);
  const [, , received = "0"] = queues(to, from);
  return parseInt(sending, 16) + parseInt(received, 16);
}

/** The resident memory of a server, in bytes. */
function memoryOf({ pid }: ServerProcess): number {
  return 1_024 * Number(/^VmRSS:\s+(\d+)/m.exec(readProc(`${pid}/status`))![1]);
}

/** What the kernel tells. By a program, because Deno reads /proc only with all permissions. */
function readProc(path: string): string {
  const { stdout } = new Deno.Command("cat", { args: [`/proc/${path}`] }).outputSync();
  return new TextDecoder().decode(stdout);
}

/** Figures for a person who runs these tests by hand. */
function report(text: string): void {
  console.log(text);
}

function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
