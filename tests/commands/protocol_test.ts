/**
 * Runs the table of `protocol_cases.ts`: over a socket without a network, whole and byte by byte,
 * and over real sockets to servers of their own. An operation, or a reply that it declares, without
 * a case is a failure.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { GateContext } from "../../server/dispatch/gate.ts";
import { Connection } from "../../server/connections/connection.ts";
import type { Operation } from "../../server/dispatch/registry.ts";
import { Turn } from "../../server/turn/turn.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { EtcdCluster } from "../support/etcd.ts";
import {
  Client,
  contextOver,
  ServerProcess,
  testWith,
  testWithProgram,
} from "../support/harness.ts";
import { MemorySocket, until } from "../support/memory_socket.ts";
import { bytesOf, PROTOCOL_CASES, type ProtocolCase, SERVERS } from "./protocol_cases.ts";

type ServerName = keyof typeof SERVERS;

/** The client's end of one connection, of whatever it is made. */
interface Peer {
  /** Sends a line and returns the lines of its reply. */
  ask(line: string): Promise<string[]>;
  send(data: Uint8Array): Promise<void>;
  /** Says that no more will come; returns the lines that still come. */
  finish(): Promise<string[]>;
  /** Waits until the server ends the connection; returns the lines that still come. */
  ended(): Promise<string[]>;
}

/** Cases of more bytes are not sent byte by byte: a packet for each would take minutes. */
const SINGLE_BYTES_MAX = 8_192;

const SERVER_NAMES = Object.keys(SERVERS) as ServerName[];

Deno.test("each case of the protocol has a name of its own", () => {
  const names = PROTOCOL_CASES.map(({ name }) => name);
  assertEquals(names.filter((name, i) => names.indexOf(name) < i), []);
});

testWith(
  ["read"],
  `the ${PROTOCOL_CASES.length} cases of the protocol hold in memory`,
  async () => {
    await runInMemory(PROTOCOL_CASES, await makeContexts(), (bytes) => [bytes]);
  },
);

testWith(["read"], "they hold where each byte comes alone", async () => {
  const short = PROTOCOL_CASES.filter((one) => bytesOf(one).length <= SINGLE_BYTES_MAX);
  await runInMemory(short, await makeContexts(), singleBytes);
});

testWith(["net", "read", "write", "run", "env"], "they hold over a socket", async () => {
  await runOverSockets((name) => startServer(name, { args: ["--memory"] }), () => "memory");
});

testWithProgram("etcd", "they hold where the table is in etcd", async () => {
  await using cluster = await EtcdCluster.start();
  // A prefix for each, because their cases run at the same time and clear their tables.
  const tableOf = (name: ServerName) => cluster.url(name.replaceAll(" ", "-"));
  await runOverSockets((name) => startServer(name, { table: tableOf(name) }), tableOf);
});

testWith(["read"], "each operation has a case for each reply that it declares", async () => {
  const contexts = await makeContexts();
  await runInMemory(PROTOCOL_CASES, contexts, (bytes) => [bytes]);
  const lacking: string[] = [];
  for (const { verb, command } of contexts.plain.registry) {
    const answered = answeredCodes(contexts, verb);
    for (const code of ["400", ...Object.keys(command.replies)]) {
      if (!answered.has(code)) lacking.push(`${verb} ${code}`);
    }
  }
  assertEquals(lacking, [], "add cases to tests/commands/protocol_cases.ts");
});

testWith(["read"], "each operation has a case for too few and too many arguments", async () => {
  const expected = new Set(PROTOCOL_CASES.flatMap(({ expect }) => expect));
  const { registry } = await contextOver();
  const needed = [...registry].flatMap(({ usage, arity }) => [
    ...arity.required > 0 ? [`400 BADREQUEST too few arguments; usage: ${usage}`] : [],
    ...arity.verbatim ? [] : [`400 BADREQUEST too many arguments; usage: ${usage}`],
  ]);
  assertEquals(needed.filter((reply) => !expected.has(reply)), []);
});

testWith(["read"], "no operation answers with a code that it does not declare", async () => {
  const contexts = await makeContexts();
  await runInMemory(PROTOCOL_CASES, contexts, (bytes) => [bytes]);
  for (const { verb, command } of contexts.plain.registry) {
    const declared = new Set(["400", "401", "500", ...Object.keys(command.replies)]);
    for (const code of answeredCodes(contexts, verb)) assert(declared.has(code), `${verb} ${code}`);
  }
});

Deno.test("a reply that is not the expected one is told", () => {
  const one: ProtocolCase = { name: "", send: [], expect: ["200-<text>", "…", "200 OK <number>"] };
  assertEquals(matches(["200-a", "200 OK 1"], one.expect), true);
  assertEquals(matches(["200-a", "200-b", "200-c", "200 OK -1.5"], one.expect), true);
  assertEquals(matches(["200-", "200 OK 1"], one.expect), false);
  assertEquals(matches(["200-a", "200 OK x"], one.expect), false);
  assertEquals(matches(["200-a", "200 OK 1", "200 OK"], one.expect), false);
  assertEquals(matches(["200-a"], one.expect), false);
  assertEquals(matches([], one.expect), false);
});

function casesFor(server: ServerName): ProtocolCase[] {
  return PROTOCOL_CASES.filter((one) => (one.server ?? "plain") === server);
}

/** Plays a case; returns what to say about it, if it fails. */
async function failureOf(one: ProtocolCase, peer: Peer): Promise<string[]> {
  const got = await play(one, peer);
  if (matches(got, one.expect)) return [];
  const show = (lines: readonly string[]) =>
    lines.map((line) => `\n      ${JSON.stringify(line.slice(0, 200))}`).join("");
  return [`${one.name}\n    got:${show(got)}\n    expected:${show(one.expect)}`];
}

/** Plays the client's part of a case; returns the lines that it gets. */
async function play({ send, ends }: ProtocolCase, peer: Peer): Promise<string[]> {
  const got: string[] = [];
  if (typeof send === "string" || send instanceof Uint8Array) {
    await peer.send(bytesOf({ name: "", send, expect: [] }));
    return ends ? await peer.ended() : await peer.finish();
  }
  let version = "";
  for (const line of send) {
    const reply = await peer.ask(line.replaceAll("<version>", version));
    if (/^(GETS|CAS) /.test(line)) version = /^200 OK (\d+)/.exec(reply[0] ?? "")?.[1] ?? version;
    got.push(...reply);
  }
  if (ends) return [...got, ...await peer.ended()];
  const [alive = "nothing"] = await peer.ask("COUNT");
  if (!/^(200 OK \d+|401 UNAUTHORIZED)$/.test(alive)) got.push(`${alive}, to a COUNT behind it`);
  return [...got, ...await peer.finish()];
}

/** Whether the lines are the expected ones. */
function matches(got: readonly string[], expect: readonly string[]): boolean {
  const [first, ...others] = expect;
  if (first === undefined) return got.length === 0;
  if (first === "…") {
    return matches(got, others) || (got.length > 0 && matches(got.slice(1), expect));
  }
  return got.length > 0 && isLine(got[0]!, first) && matches(got.slice(1), others);
}

function isLine(line: string, expected: string): boolean {
  if (!/<(version|number|text)>/.test(expected)) return line === expected;
  const pattern = RegExp.escape(expected)
    .replaceAll(RegExp.escape("<version>"), "\\d+")
    .replaceAll(RegExp.escape("<number>"), "-?\\d+(\\.\\d+)?")
    .replaceAll(RegExp.escape("<text>"), "[^\\n]+");
  return new RegExp(`^${pattern}$`).test(line);
}

function linesOf(wire: string): string[] {
  const lines = wire.split("\r\n");
  // What no CR LF ended shows up as a line too many.
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** A context for each server: their registries count what was answered. */
async function makeContexts(): Promise<Record<ServerName, GateContext>> {
  const password = SERVERS.password.password;
  return {
    plain: await contextOver(),
    "short lines": await contextOver(),
    password: await contextOver(undefined, { isPassword: (guess) => guess === password }),
  };
}

/** The codes that the operation of a verb has answered with. */
function answeredCodes(contexts: Record<ServerName, GateContext>, verb: string): Set<string> {
  const operations = Object.values(contexts).map(({ registry }) => registry.find(verb)!);
  const codesOf = ({ answered }: Operation) =>
    [...answered.entries()].filter(([, count]) => count > 0).map(([code]) => String(code));
  return new Set(operations.flatMap(codesOf));
}

/** Plays cases over sockets without a network; `cut` makes the packets of what a client sends. */
async function runInMemory(
  cases: readonly ProtocolCase[],
  contexts: Record<ServerName, GateContext>,
  cut: (bytes: Uint8Array) => Uint8Array[],
): Promise<void> {
  const failures: string[] = [];
  for (const one of cases) {
    const name = one.server ?? "plain";
    const table = new MemoryTable();
    const services = { ...contexts[name], table };
    const onFatal = (error: unknown) => failures.push(`${one.name}: ${error}`);
    const limits = { lineBytesMax: 1_048_576, idleTimeout: 0, writeTimeout: 10, ...SERVERS[name] };
    const turn = new Turn({ table, metrics: services.metrics, onFatal });
    const socket = new MemorySocket();
    const served = new Connection(socket, { services, turn, limits }).serve();
    failures.push(...await failureOf(one, memoryPeer({ socket, served, cut })));
  }
  assertEquals(failures, []);
}

function singleBytes(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

function memoryPeer(
  { socket, served, cut }: {
    socket: MemorySocket;
    served: Promise<void>;
    cut: (bytes: Uint8Array) => Uint8Array[];
  },
): Peer {
  const send = (data: Uint8Array) => socket.send(...cut(data));
  const take = async () => {
    await served;
    return linesOf(socket.take());
  };
  return {
    async ask(line) {
      send(new TextEncoder().encode(`${line}\r\n`));
      return linesOf(await socket.reply());
    },
    send: (data) => Promise.resolve(send(data)),
    finish() {
      socket.finish();
      return take();
    },
    async ended() {
      // The server says that it has ended before it hears the client say so.
      await until(() => socket.isFinished);
      socket.finish();
      return await take();
    },
  };
}

function clientPeer(client: Client): Peer {
  return {
    async ask(line) {
      await client.send(`${line}\r\n`);
      return await client.reply();
    },
    send: (data) => client.send(data),
    async finish() {
      await client.finish();
      return linesOf(await client.rest());
    },
    ended: async () => linesOf(await client.rest()),
  };
}

/** Plays all cases over real sockets, to servers whose STATS name this location. */
async function runOverSockets(
  start: (name: ServerName) => Promise<ServerProcess>,
  locationOf: (name: ServerName) => string,
): Promise<void> {
  const failures: string[] = [];
  await Promise.all(SERVER_NAMES.map(async (name) => {
    await using server = await start(name);
    using cleaner = await server.connect();
    await cleaner.ask(`AUTH ${SERVERS[name].password}`);
    for (const one of casesFor(name)) {
      await cleaner.ask("CLEAR");
      using client = await server.connect();
      const expect = one.expect.map((line) =>
        line === "200-table memory" ? `200-table ${locationOf(name)}` : line
      );
      failures.push(...await failureOf({ ...one, expect }, clientPeer(client)));
    }
  }));
  assertEquals(failures, []);
}

function startServer(
  name: ServerName,
  { args = [], table }: { args?: readonly string[]; table?: string },
): Promise<ServerProcess> {
  const { lineBytesMax, password } = SERVERS[name];
  return ServerProcess.start({
    args: [...args, ...lineBytesMax === undefined ? [] : ["--max-line", String(lineBytesMax)]],
    env: password === undefined ? {} : { KEYLINE_PASSWORD: password },
    ...(table !== undefined && { table }),
  });
}
