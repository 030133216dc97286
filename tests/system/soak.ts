/**
 * A soak: clients of every kind at one server for as long as you like, and what that does to its memory, its
 * descriptors, and the clients that behave. `deno task soak` runs it, on Linux: `--seconds 600` sets how
 * long, `--memory` a table in memory.
 *
 * *Good* clients ask and check each reply; *slow* ones read a little at a time; *rude* ones leave in the
 * middle of a line, never read, or send half a line and wait; *noisy* ones send random bytes. It exits with
 * code 1 if a good client got a wrong reply.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { ServerProcess } from "../support/harness.ts";
import { delay } from "../support/waiting.ts";

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    memory: { type: "boolean", default: false },
  },
});
const SECONDS = Number(flags.seconds);
/** How many clients of each kind there are at a time. */
const CLIENTS = { good: 8, slow: 4, leaving: 8, silent: 4, half: 8, noisy: 4 };
/** How long good clients are measured alone, before and after, in seconds. */
const QUIET_SECONDS = Math.min(10, SECONDS / 4);
/** How long a good client waits between requests, in milliseconds: this is not a load test. */
const PAUSE_MS = 5;
/** How often figures are printed, in seconds. */
const REPORT_SECONDS = 60;

const utf8 = new TextEncoder();

/** How long the good clients waited, in milliseconds, since this was last emptied. */
let waits: number[] = [];
let wrongReplies = 0;
/** How many clients of each kind have connected and left. */
const gone: Record<string, number> = {};

async function soak(): Promise<void> {
  await using server = await ServerProcess.start({
    args: ["--write-timeout", "5", "--idle-timeout", "20", ...flags.memory ? ["--memory"] : []],
  });
  let isOver = false;
  server.status().then(({ code }) => {
    if (isOver) return;
    console.log(`The server exited with ${code}: ${server.output.slice(-5_000)}`);
    Deno.exit(1);
  });
  const all = new AbortController();
  const bad = new AbortController();
  const good = crowd("good", goodClient, { port: server.port, signal: all.signal });
  await reportOver(server, "before", QUIET_SECONDS);
  const others = Object.entries({ slow, leaving, silent, half, noisy }).flatMap(([kind, live]) =>
    crowd(kind, live, { port: server.port, signal: bad.signal })
  );
  for (let left = SECONDS; left > 0; left -= REPORT_SECONDS) {
    const from = SECONDS - left;
    const seconds = Math.min(left, REPORT_SECONDS);
    await reportOver(server, `${from} to ${from + seconds} s`, seconds);
  }
  bad.abort();
  await Promise.all(others);
  await reportOver(server, "after", QUIET_SECONDS);
  all.abort();
  await Promise.all(good);
  isOver = true;
  const { code } = await server.stop();
  console.log(`clients that connected and left: ${JSON.stringify(gone)}`);
  console.log(`wrong replies to good clients: ${wrongReplies}; the server exited with ${code}`);
  if (wrongReplies > 0 || code !== 0) Deno.exit(1);
}

/** What each client gets. */
interface Life {
  readonly port: number;
  readonly signal: AbortSignal;
}

/** Keeps so many clients of a kind alive: where one ends, the next comes. */
function crowd(kind: string, live: (life: Life) => Promise<void>, life: Life): Promise<void>[] {
  gone[kind] = 0;
  const count = CLIENTS[kind as keyof typeof CLIENTS];
  return Array.from({ length: count }, async () => {
    while (!life.signal.aborted) {
      try {
        await live(life);
      } catch (error) {
        // A client that the server has sent away is what most of these ask for; a good one does not.
        if (kind === "good") {
          console.log("A good client was let down:", error);
          wrongReplies++;
        }
      }
      gone[kind]!++;
      await delay(10);
    }
  });
}

/** Stores, reads and removes keys of its own for a while, and checks every reply. */
async function goodClient({ port, signal }: Life): Promise<void> {
  using client = await Line.connect(port);
  const own = `good-${crypto.randomUUID()}`;
  for (let i = 0; i < 2_000 && !signal.aborted; i++) {
    const key = `${own}-${i % 10}`;
    const value = `${i} ${"v".repeat(i % 100 === 0 ? 50_000 : i % 50)}.`;
    for (
      const [line, reply] of [
        [`PUT ${key} ${value}`, "200 OK"],
        [`GET ${key}`, `200 OK ${value}`],
        [`DELETE ${key}`, "200 OK"],
        [`GET ${key}`, "404 NOT FOUND"],
      ] as const
    ) {
      const begun = performance.now();
      const received = await client.ask(line);
      waits.push(performance.now() - begun);
      if (received !== reply) {
        wrongReplies++;
        console.log(`"${line.slice(0, 60)}" was answered "${received.slice(0, 60)}"`);
      }
      await delay(PAUSE_MS);
    }
  }
}

/** Asks for much, and takes it a little at a time. */
async function slow({ port, signal }: Life): Promise<void> {
  using client = await Line.connect(port);
  await client.send(`PUT slow ${"s".repeat(500_000)}\n` + "GET slow\n".repeat(50));
  for (let i = 0; i < 500 && !signal.aborted; i++) {
    await client.readSome(20_000);
    await delay(50);
  }
}

/** Leaves in the middle of a line, with replies on their way: the kernel sends a reset. */
async function leaving({ port }: Life): Promise<void> {
  using client = await Line.connect(port);
  await client.send("PUT rude v\nGET rude\n".repeat(random(50)) + "PUT rude half a li");
  await delay(random(100));
}

/** Asks for much, and takes nothing until it is sent away. */
async function silent({ port, signal }: Life): Promise<void> {
  using client = await Line.connect(port);
  await client.send(`PUT large ${"l".repeat(1_000_000)}\n` + "GET large\n".repeat(1_000));
  for (let i = 0; i < 100 && !signal.aborted; i++) await delay(100);
}

/** Sends half a line of any length, and waits until it is sent away. */
async function half({ port, signal }: Life): Promise<void> {
  using client = await Line.connect(port);
  await client.send("PUT half " + "h".repeat(random(2_000_000)));
  for (let left = random(250); left > 0 && !signal.aborted; left--) await delay(100);
}

/** Sends bytes without a meaning, with ends of lines among them. */
async function noisy({ port, signal }: Life): Promise<void> {
  using client = await Line.connect(port);
  const reading = client.drain();
  for (let i = 0; i < 50 && !signal.aborted; i++) {
    const noise = crypto.getRandomValues(new Uint8Array(1 + random(5_000)));
    // The table is the good clients' too, so that no line of noise may happen to be CLEAR.
    await client.sendBytes(noise.map((byte) => byte === 0x63 || byte === 0x43 ? 0x0a : byte));
    await delay(random(100));
  }
  client[Symbol.dispose]();
  await reading;
}

/** Prints what the server holds, and what the good clients waited over so many seconds. */
async function reportOver(server: ServerProcess, when: string, seconds: number): Promise<void> {
  waits = [];
  await delay(seconds * 1_000);
  const sorted = waits.sort((a, b) => a - b);
  const quantile = (part: number) =>
    (sorted[Math.ceil(part * sorted.length) - 1] ?? NaN).toFixed(2).padStart(7);
  const status = shell(`cat /proc/${server.pid}/status`);
  const rss = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1_024;
  const descriptors = shell(`ls /proc/${server.pid}/fd`).split("\n").length - 1;
  console.log(
    `${when.padEnd(12)} RSS ${rss.toFixed(0).padStart(4)} MiB, ${
      String(descriptors).padStart(3)
    } descriptors, ${sorted.length} good requests: p50 ${quantile(0.5)} ms, p99 ${
      quantile(0.99)
    } ms, longest ${quantile(1)} ms`,
  );
}

/** A client as these are made of: bytes out, lines or bytes in. */
class Line implements Disposable {
  readonly #socket: Deno.TcpConn;
  readonly #buffer = new Uint8Array(65_536);
  readonly #decoder = new TextDecoder();
  #received = "";

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  static async connect(port: number): Promise<Line> {
    return new Line(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  send(text: string): Promise<void> {
    return this.sendBytes(utf8.encode(text));
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
  }

  /** Sends a line and returns its reply, which is one line too. */
  async ask(line: string): Promise<string> {
    await this.send(`${line}\r\n`);
    while (!this.#received.endsWith("\r\n")) {
      const length = await this.#socket.read(this.#buffer);
      if (length === null) throw new Error(`The server has closed the connection after ${line}`);
      this.#received += this.#decoder.decode(this.#buffer.subarray(0, length), { stream: true });
    }
    const reply = this.#received.slice(0, -2);
    this.#received = "";
    return reply;
  }

  /** Takes a few bytes and drops them. */
  async readSome(bytes: number): Promise<void> {
    await this.#socket.read(this.#buffer.subarray(0, bytes));
  }

  /** Takes all that comes and drops it, until the connection ends. */
  async drain(): Promise<void> {
    try {
      while (await this.#socket.read(this.#buffer) !== null);
    } catch {
      // It was closed while this waited.
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

function shell(command: string): string {
  const { stdout } = new Deno.Command("sh", { args: ["-c", command] }).outputSync();
  return new TextDecoder().decode(stdout);
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

if (import.meta.main) await soak();
