/**
 * What one client that floods the server does to the others: the round trips of polite clients, each of which
 * sends a GET every 50 ms, during floods of every kind. It builds and runs flood.c. Called by main.ts.
 *
 * @module
 */
import { buildProgram } from "./generator.ts";
import { firstReply, freePort, keylinePid } from "./peers.ts";
import { output, Program } from "./processes.ts";

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
  ["CLIENTS", utf8.encode("CLIENTS\n"), true],
];

/** In milliseconds. */
interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

/** What flood.c prints: the round trips by the clock, and by the server's own time. */
interface Figures {
  readonly trips: Times;
  readonly own: Times;
}

/** Measures each flood for so many seconds; returns a table. */
export async function measureFloods(
  { folder, seconds, progress }: {
    folder: string;
    seconds: number;
    progress: (line: string) => void;
  },
): Promise<string> {
  const program = await buildProgram("flood.c", folder);
  const rows = ["| flood | password given | p50, ms | p99, ms | own p99, ms | longest own, ms |"];
  rows.push("| --- | --- | ---: | ---: | ---: | ---: |");
  for (const [name, bytes, authorized] of FLOODS) {
    const { trips, own } = await measureFlood({ program, bytes, authorized, folder, seconds });
    const figures = [trips.p50, trips.p99, own.p99, own.longest].map((ms) => ms.toFixed(1));
    rows.push(`| ${[name, authorized ? "yes" : "no", ...figures].join(" | ")} |`);
    progress(rows.at(-1)!);
  }
  return rows.join("\n");
}

async function measureFlood(
  { program, bytes, authorized, folder, seconds }: {
    program: string;
    bytes: Uint8Array;
    authorized: boolean;
    folder: string;
    seconds: number;
  },
): Promise<Figures> {
  const port = freePort();
  const password = `${folder}/password`;
  await Deno.writeTextFile(password, `${PASSWORD}\n`);
  const args = ["task", "start", "--memory", "--port", `${port}`, "--password-file", password];
  const server = new Program(Deno.execPath(), args, { cwd: `${import.meta.dirname}/..` });
  try {
    await firstReply(port, server);
    await fill(port);
    const ms = seconds * 1_000;
    const hello = `AUTH ${PASSWORD}\n`;
    const numbers = [port, await keylinePid(server.pid), ms].map(String);
    const flood = [authorized ? hello : "", bytes.toHex()];
    return JSON.parse(
      await output(program, [...numbers, hello, ...flood], { timeoutMs: ms + 60_000 }),
    );
  } finally {
    await server.stop();
  }
}

/** Stores some keys. */
async function fill(port: number): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const puts = Array.from(
    { length: KEYS },
    (_, i) => `PUT key:${String(i).padStart(10, "0")} ${"v".repeat(64)}\n`,
  );
  const bytes = utf8.encode(`AUTH ${PASSWORD}\n${puts.join("")}QUIT\n`);
  const replies = new Response(connection.readable).text();
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  const count = (await replies).split("200 OK\r\n").length - 1;
  if (count !== KEYS + 2) throw new Error(`Cannot store ${KEYS} keys: ${count} replies of 200`);
}
