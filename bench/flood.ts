/**
 * What one client that floods the server does to the others: the round trips of polite clients, each of which
 * sends a GET every 50 ms, during floods of every kind. Called by main.ts.
 *
 * @module
 */
import { Program, sleep } from "./processes.ts";
import type { Flood } from "./flooder.ts";
import { firstReply, freePort } from "./peers.ts";

const CLIENTS = 50;
const GET_EVERY_MS = 50;
const RATE = 1_500_000;
const PACKET_BYTES = 16_384;
const PASSWORD = "sesame";
const KEYS = 2_000;
const utf8 = new TextEncoder();

/** What a flood repeats, and whether the flooder gives the password first. */
const FLOODS: readonly (readonly [name: string, bytes: Uint8Array, authorized: boolean])[] = [
  ["nothing", utf8.encode(""), false],
  ...[false, true].flatMap((authorized) =>
    [
      ["empty lines", utf8.encode("\n"), authorized],
      ["lines that are not UTF-8", Uint8Array.of(0x80, 0x0a), authorized],
      ["HELP", utf8.encode("HELP\n"), authorized],
      ["IAC NOP", Uint8Array.of(0xff, 0xf1), authorized],
      ["IAC DO TIMING-MARK", Uint8Array.of(0xff, 0xfd, 0x06), authorized],
      ["TIMING-MARK within a line", Uint8Array.of(0xff, 0xfd, 0x06, 0x78), authorized],
    ] as const
  ),
  ["GET", utf8.encode("GET key:0000000001\n"), true],
  ["KEYS", utf8.encode("KEYS\n"), true],
  ["STATS", utf8.encode("STATS\n"), true],
];

/** Measures each flood for so many seconds; returns a table. */
export async function measureFloods(
  { folder, seconds, progress }: {
    folder: string;
    seconds: number;
    progress: (line: string) => void;
  },
): Promise<string> {
  const rows = ["| flood | password given | p50, ms | p99, ms | longest, ms |"];
  rows.push("| --- | --- | ---: | ---: | ---: |");
  for (const [name, bytes, authorized] of FLOODS) {
    const { p50, p99, longest } = await measureFlood({ bytes, authorized, folder, seconds });
    const figures = [p50, p99, longest].map((ms) => ms.toFixed(1));
    rows.push(`| ${[name, authorized ? "yes" : "no", ...figures].join(" | ")} |`);
    progress(rows.at(-1)!);
  }
  return rows.join("\n");
}

async function measureFlood(
  { bytes, authorized, folder, seconds }: {
    bytes: Uint8Array;
    authorized: boolean;
    folder: string;
    seconds: number;
  },
): Promise<{ p50: number; p99: number; longest: number }> {
  const port = freePort();
  const password = `${folder}/password`;
  await Deno.writeTextFile(password, `${PASSWORD}\n`);
  const args = ["task", "start", "--memory", "--port", `${port}`, "--password-file", password];
  const server = new Program(Deno.execPath(), args, { cwd: `${import.meta.dirname}/..` });
  const worker = new Worker(new URL("./flooder.ts", import.meta.url), { type: "module" });
  const clients: PoliteClient[] = [];
  try {
    await firstReply(port, server);
    for (let i = 0; i < CLIENTS; i++) clients.push(await PoliteClient.connect(port));
    for (let i = 0; i < KEYS; i++) {
      await clients[0]!.ask(`PUT key:${String(i).padStart(10, "0")} ${"v".repeat(64)}`);
    }
    const flood: Flood = {
      port,
      hello: utf8.encode(authorized ? `AUTH ${PASSWORD}\n` : ""),
      packet: packetOf(bytes),
      rate: RATE,
    };
    if (bytes.length > 0) worker.postMessage(flood);
    await sleep(300);
    const until = performance.now() + seconds * 1_000;
    const times = (await Promise.all(clients.map((client) => client.askUntil(until)))).flat();
    times.sort((a, b) => a - b);
    const at = (share: number) =>
      times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
    return { p50: at(0.5), p99: at(0.99), longest: at(1) };
  } finally {
    worker.terminate();
    for (const client of clients) client.close();
    await server.stop();
  }
}

/** As many whole repetitions as fit in a packet. */
function packetOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  if (bytes.length === 0) return new Uint8Array(0);
  const packet = new Uint8Array(PACKET_BYTES - PACKET_BYTES % bytes.length);
  for (let at = 0; at < packet.length; at += bytes.length) packet.set(bytes, at);
  return packet;
}

/** A client that waits for each reply before it asks again. */
class PoliteClient {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(65_536);

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<PoliteClient> {
    const client = new PoliteClient(await Deno.connect({ hostname: "127.0.0.1", port }));
    await client.ask(`AUTH ${PASSWORD}`);
    return client;
  }

  /** Sends a request whose reply is one short line, and waits for that. */
  async ask(line: string): Promise<void> {
    await this.#connection.write(utf8.encode(`${line}\n`));
    const length = await this.#connection.read(this.#buffer);
    if (length === null || this.#buffer[0] !== 0x32) throw new Error(`Cannot ask: ${line}`);
  }

  /** Asks every now and then; returns how long each round trip took, in milliseconds. */
  async askUntil(until: number): Promise<number[]> {
    const times: number[] = [];
    await sleep(GET_EVERY_MS * Math.random());
    while (performance.now() < until) {
      const startedAt = performance.now();
      await this.ask("GET key:0000000001");
      const took = performance.now() - startedAt;
      times.push(took);
      await sleep(Math.max(0, GET_EVERY_MS - took));
    }
    return times;
  }

  close(): void {
    this.#connection.close();
  }
}
