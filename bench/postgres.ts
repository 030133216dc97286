/**
 * Keyline over PostgreSQL with a synchronous standby, one server and three, beside a program that sends PostgreSQL
 * one statement for each request, by 16 connections. Called by main.ts.
 *
 * @module
 */
import pg from "npm:pg@8.23.1";
import { table } from "../docs/markdown.ts";
import type { Drive } from "./generator.ts";
import { freePort, type Server, startKeyline } from "./peers.ts";
import { programOf } from "./postgres_programs.ts";
import { output, Program, readProc, sleep } from "./processes.ts";
import { type Machine, median } from "./results.ts";

/** What to measure with. */
export interface PostgresBench {
  readonly drive: Drive;
  /** Where the data of both servers of PostgreSQL lies. */
  readonly folder: string;
  readonly rounds: number;
  readonly seconds: number;
  /** Whether to run one small cell, to see that everything works. */
  readonly quick: boolean;
  readonly progress: (line: string) => void;
}

/** One load: requests per second of all sides, round by round. */
export interface PostgresCell {
  readonly clients: number;
  readonly inFlight: number;
  /** Percent of the requests that store a value. */
  readonly writes: number;
  /** One server. */
  readonly one: number[];
  /** Three servers together, each with a third of the clients and keys of its own. */
  readonly three: number[];
  /** One statement for each request. */
  readonly statements: number[];
  /** The same, with reads that are never stale: each waits for the standby, as Keyline's do. */
  readonly fenced: number[];
}

/** What was measured. */
export interface PostgresResults {
  readonly version: string;
  readonly rounds: number;
  readonly seconds: number;
  /** How many processes ran or wanted to run in the minute before it began, on average. */
  readonly loadBefore: number;
  readonly cells: readonly PostgresCell[];
  /** Round trips of a lone client that only reads, in microseconds: with a standby to wait for, and without. */
  readonly loneReadUs: { readonly fenced: number; readonly plain: number };
}

const SERVERS = 3;
const CONNECTIONS = 16;
const KEYS = 20_000;
const VALUE_BYTES = 64;
const START_MS_MAX = 60_000;
const USER = "keyline";
const SHAPES = [[50, 1], [50, 16], [50, 64]] as const;

/** Measures every cell, all sides in turns. Throws where PostgreSQL is not installed. */
export async function measurePostgres(bench: PostgresBench): Promise<PostgresResults> {
  const { drive, rounds, seconds, quick, progress } = bench;
  await using programs = new AsyncDisposableStack();
  const loadBefore = Number((await readProc("loadavg")).split(" ")[0]);
  const { port, version } = await startEngine(bench.folder, programs);
  const servers: Server[] = [];
  const url = `postgres://${USER}@127.0.0.1:${port}/postgres?table=bench`;
  for (let i = 0; i < SERVERS; i++) servers.push(await startKeyline(url, programs));
  const statements = await Statements.open(port);
  programs.defer(() => statements.close());
  const fill = { clients: 50, inFlight: 16, seconds: 120, valueBytes: VALUE_BYTES, writes: 100 };
  await drive(servers[0]!, { ...fill, mode: "fill", keys: SERVERS * KEYS });
  const cells: PostgresCell[] = [];
  for (const [clients, inFlight] of quick ? SHAPES.slice(0, 1) : SHAPES) {
    for (const writes of [10, 100]) {
      const load = { inFlight, writes, seconds, keys: KEYS, valueBytes: VALUE_BYTES };
      const shape = { clients, inFlight, writes };
      const cell: PostgresCell = { ...shape, one: [], three: [], statements: [], fenced: [] };
      for (let round = 0; round < rounds; round++) {
        cell.one.push((await drive(servers[0]!, { ...load, clients })).requestsPerS);
        const share = Math.ceil(clients / SERVERS);
        const all = await Promise.all(
          servers.map((server, i) => drive(server, { ...load, clients: share, first: i * KEYS })),
        );
        cell.three.push(all.reduce((sum, { requestsPerS }) => sum + requestsPerS, 0));
        cell.statements.push(await statements.perS({ writes, seconds, isFenced: false }));
        cell.fenced.push(await statements.perS({ writes, seconds, isFenced: true }));
      }
      cells.push(cell);
      const rates = [cell.one, cell.three, cell.statements, cell.fenced].map(median);
      progress(
        `${clients} x ${inFlight}, ${writes} % writes: ${rates.map(Math.round).join(" ")}`,
      );
    }
  }
  const lone = { clients: 1, inFlight: 1, writes: 0, seconds, keys: KEYS, valueBytes: VALUE_BYTES };
  const [fenced, plain]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    fenced.push((await drive(servers[0]!, lone)).p50Us);
    await statements.setStandbys("");
    plain.push((await drive(servers[0]!, lone)).p50Us);
    await statements.setStandbys("ANY 1 (s1)");
  }
  const loneReadUs = { fenced: median(fenced), plain: median(plain) };
  return { version, rounds, seconds, loadBefore, cells, loneReadUs };
}

/** What was measured, as a page. */
export function postgresPage(
  { version, rounds, seconds, loadBefore, cells, loneReadUs }: PostgresResults,
  machine: Machine,
): string {
  const number = (value: number) => Math.round(value).toLocaleString("en");
  const ratio = (rates: readonly number[], others: readonly number[]) =>
    median(rates.map((rate, round) => rate / others[round]!)).toFixed(2);
  const rows = cells.map(({ clients, inFlight, writes, one, three, statements, fenced }) => [
    `${clients} × ${inFlight}`,
    `${writes} %`,
    ...[one, three, statements, fenced].map((rates) => number(median(rates))),
    ratio(one, statements),
    ratio(one, fenced),
    ratio(three, one),
  ]);
  const heads = ["clients × in flight", "writes", "one server/s", "three servers/s"];
  return [
    "# Over PostgreSQL",
    "What `deno task bench --postgres` measured. This page is rendered; nothing in it is typed by hand.",
    `PostgreSQL ${version} with a synchronous standby, Keyline and the load generator on one machine: ` +
    `${machine.cpu}, ${machine.cores} cores. ${
      number(KEYS)
    } keys a server, values of ${VALUE_BYTES} bytes, ` +
    `the medians of ${rounds} rounds of ${seconds} s, all sides in turns; the load average was ${
      loadBefore.toFixed(1)
    } before. _One statement each_ is a program ` +
    `that sends PostgreSQL a prepared statement for each request, by ${CONNECTIONS} connections, each of ` +
    "which always has one under way, over a table with the same columns. _Fenced_ is the same program with " +
    "reads that are never stale: each ends in a mark that the standby has to confirm, as Keyline's turns " +
    "do. Three servers have a third of the clients each, and keys of their own.",
    table(
      [
        ...[...heads, "one statement each/s", "fenced/s"],
        ...["one server / statements", "one server / fenced", "three servers / one"],
      ],
      rows,
      { leftColumns: 1 },
    ),
    `A lone client that only reads waits ${
      number(loneReadUs.fenced)
    } µs for a reply where its turn has to ` +
    `reach the standby, and ${number(loneReadUs.plain)} µs where the engine waits for none.`,
  ].join("\n\n") + "\n";
}

/** Starts a primary and its standby. */
async function startEngine(
  folder: string,
  programs: AsyncDisposableStack,
): Promise<{ port: number; version: string }> {
  const version = await output(programOf("postgres"), ["--version"]);
  await output("chmod", ["755", folder]);
  const data = `${folder}/postgres`;
  await Deno.mkdir(data);
  if (Deno.uid() === 0) await output("chown", ["postgres", data]);
  const run = async (name: string, args: readonly string[]) => {
    const [program, ...rest] = asOwner(name, args);
    await output(program!, rest, { timeoutMs: START_MS_MAX });
  };
  const [port, standbyPort] = [freePort(), freePort()];
  const [primary, standby] = [`${data}/primary`, `${data}/standby`];
  await run("initdb", ["-D", primary, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale", "C"]);
  await startServer(primary, { port, settings: { synchronous_standby_names: "" }, programs });
  const from = ["-d", `host=127.0.0.1 port=${port} user=${USER} application_name=s1`];
  await run("pg_basebackup", [...from, "-D", standby, "-R", "-c", "fast"]);
  await startServer(standby, { port: standbyPort, settings: {}, programs });
  return { port, version: /\d+(\.\d+)+/.exec(version)?.[0] ?? "unknown" };
}

async function startServer(
  folder: string,
  { port, settings, programs }: {
    port: number;
    settings: Readonly<Record<string, string>>;
    programs: AsyncDisposableStack;
  },
): Promise<void> {
  const all = { listen_addresses: "127.0.0.1", unix_socket_directories: "", port, ...settings };
  const flags = Object.entries(all).filter(([name]) => !name.startsWith("synchronous"))
    .flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const [command, ...args] = asOwner("postgres", ["-D", folder, ...flags]);
  const program = new Program(command!, args);
  programs.defer(() => program.stop());
  for (const end = Date.now() + START_MS_MAX; Date.now() < end; await sleep(100)) {
    const isReady = output(programOf("pg_isready"), ["-h", "127.0.0.1", "-p", `${port}`]);
    if (await isReady.then(() => true, () => false)) return;
  }
  throw new Error(`PostgreSQL does not come up: ${program.said}`);
}

/** Sends a statement for each request. */
class Statements {
  // deno-lint-ignore no-explicit-any -- the package has no types
  readonly #clients: any[];

  // deno-lint-ignore no-explicit-any -- the same
  private constructor(clients: any[]) {
    this.#clients = clients;
  }

  static async open(port: number): Promise<Statements> {
    const options = { host: "127.0.0.1", port, user: USER, database: "postgres" };
    const clients = Array.from({ length: CONNECTIONS }, () => new pg.Client(options));
    await Promise.all(clients.map((client) => client.connect()));
    const statements = new Statements(clients);
    await statements.setStandbys("ANY 1 (s1)");
    await clients[0]!.query(
      'CREATE TABLE each (key text COLLATE "C" PRIMARY KEY, value text NOT NULL, version bigint NOT NULL, ' +
        "expires_at bigint)",
    );
    await clients[0]!.query(
      "INSERT INTO each SELECT 'key:' || lpad(i::text, 10, '0'), repeat('x', $1::integer), i " +
        "FROM generate_series(0, $2::integer) i",
      [VALUE_BYTES, KEYS],
    );
    return statements;
  }

  /** Sets for which standbys commits wait. */
  async setStandbys(names: string): Promise<void> {
    await this.#clients[0].query(`ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
    await this.#clients[0].query("SELECT pg_reload_conf()");
    await sleep(500);
  }

  async perS(
    { writes, seconds, isFenced }: { writes: number; seconds: number; isFenced: boolean },
  ): Promise<number> {
    const value = "x".repeat(VALUE_BYTES);
    const put = "INSERT INTO each AS e VALUES ($1, $2, 1) " +
      "ON CONFLICT (key) DO UPDATE SET value = $2, version = e.version + 1";
    const get = isFenced
      ? {
        name: "fenced",
        text: "SELECT value, pg_logical_emit_message(true, '', '') FROM each WHERE key = $1",
      }
      : { name: "get", text: "SELECT value FROM each WHERE key = $1" };
    const startedAt = performance.now();
    const end = startedAt + seconds * 1_000;
    let count = 0;
    await Promise.all(this.#clients.map(async (client) => {
      while (performance.now() < end) {
        const key = `key:${String(Math.floor(Math.random() * KEYS)).padStart(10, "0")}`;
        const isWrite = Math.random() * 100 < writes;
        await client.query(
          isWrite ? { name: "put", text: put, values: [key, value] } : { ...get, values: [key] },
        );
        count++;
      }
    }));
    return count * 1_000 / (performance.now() - startedAt);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()));
  }
}

/** PostgreSQL refuses to run as root. */
function asOwner(name: string, args: readonly string[]): string[] {
  if (Deno.uid() !== 0) return [programOf(name), ...args];
  const owner = ["--reuid=postgres", "--regid=postgres", "--init-groups"];
  return ["setpriv", ...owner, programOf(name), ...args];
}
