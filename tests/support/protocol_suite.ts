/**
 * Makes tests of the cases of the protocol. Each case is played in memory, whole, byte by byte and cut
 * in two at every place, and its bytes are cut into lines at every place; none of that takes permissions. `over_sockets_test.ts` collects
 * the cases of all files and plays them to a server process.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Command } from "../../server/command.ts";
import { Connection } from "../../server/connections/connection.ts";
import { WrongPasswords } from "../../server/dispatch/wrong_passwords.ts";
import { Clients } from "../../server/dispatch/clients.ts";
import { compileArity, usageOf } from "../../server/dispatch/arity.ts";

import { Turn } from "../../server/turn/turn.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { IMPATIENT } from "./clock.ts";
import { type Commands, contextWith, type TestContext } from "./context.ts";
import { linesWhereverCut } from "./line_cuts.ts";
import { MemorySocket } from "./memory_socket.ts";
import { collected } from "./protocol_collection.ts";
import { bytesOf, type ProtocolCase, type ServerName, SERVERS } from "./protocol_case.ts";
import { type Cut, failuresOf, memoryPeer } from "./protocol_peer.ts";

type Contexts = Record<ServerName, TestContext>;

/** Cases of more bytes are not sent byte by byte: a packet for each would take minutes. */
const SINGLE_BYTES_MAX = 8_192;
/** Cases of more bytes are not sent cut in two at every place. */
const CUT_BYTES_MAX = 160;
const LINE_BYTES_MAX = 1_048_576;
const KEY_OF_1025_BYTES = "k".repeat(1_025);

const whole: Cut = (bytes) => [bytes];
const byteByByte: Cut = (bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte));

/**
 * Defines the tests of an operation, the first of these commands; the others are those that its cases
 * use. Adds the cases that follow from its arity, and demands a case for each reply that it declares. Each
 * case must also hold on a server that offers every operation.
 */
export function testOperation(commands: Commands, cases: readonly ProtocolCase[]): void {
  const [name, command] = Object.entries(commands)[0]! as [string, Command];
  const verb = name.toUpperCase();
  const all = [...cases, ...casesOfArity(verb, command)];
  testCases(commands, all);
  if (collected.isOpen) return;
  Deno.test(
    `${verb} has a case for each reply that it declares, and no others`,
    async () => {
      const contexts = contextsWith(commands);
      for (const one of all) await playInMemory(one, { contexts, cut: whole });
      const codes = Object.values(contexts).flatMap(({ registry }) =>
        [...registry.find(verb)!.answered.entries()].filter(([, count]) => count > 0)
          .map(([code]) => String(code))
      );
      const answered = new Set(codes);
      const declared = ["400", ...Object.keys(command.replies)];
      assertEquals(declared.filter((code) => !answered.has(code)), [], "these have no case");
      const allowed = new Set([...declared, "401", "500"]);
      assertEquals(codes.filter((code) => !allowed.has(code)), [], "these are not declared");
    },
  );
}

/** Defines the tests of cases that use these commands. */
export function testCases(commands: Commands, cases: readonly ProtocolCase[]): void {
  const names = new Set(cases.map(({ name }) => name));
  assert(cases.length > 0 && names.size === cases.length, "each case has a name of its own");
  if (collected.isOpen) return void collected.cases.push(...cases);
  for (const one of cases) {
    Deno.test(one.name, async () => {
      const cuts = [whole];
      const { length } = bytesOf(one);
      if (length <= SINGLE_BYTES_MAX) cuts.push(byteByByte);
      for (let at = 1; at < length && length <= CUT_BYTES_MAX && isOnePiece(one); at++) {
        cuts.push((bytes) => [bytes.subarray(0, at), bytes.subarray(at)]);
      }
      for (const cut of cuts) {
        assertEquals(await playInMemory(one, { contexts: contextsWith(commands), cut }), []);
      }
      linesWhereverCut(bytesOf(one), SERVERS[one.server ?? "plain"].lineBytesMax ?? LINE_BYTES_MAX);
    });
  }
}

/** Whether a case sends all at once; a dialogue goes line by line, however it is cut. */
function isOnePiece({ send }: ProtocolCase): boolean {
  return typeof send === "string" || send instanceof Uint8Array;
}

/** What every operation answers to arguments that don't fit its arity, or can't be a key or a value. */
function casesOfArity(verb: string, command: Command): ProtocolCase[] {
  const arity = compileArity(command.arity);
  const { names, required, verbatim, fields, keys } = arity;
  const words = names.map((_, i) => String(i + 1));
  const badRequest = (why: string) => `400 BADREQUEST ${why}; usage: ${usageOf(verb, arity)}`;
  const lineWith = (at: number, word: string) =>
    [verb, ...words.slice(0, Math.max(required, at + 1)).with(at, word)].join(" ");
  const same = (name: string, send: string[], why: string): ProtocolCase[] => [
    { name, send, expect: send.map(() => badRequest(why)) },
  ];
  const tooFew = words.slice(0, required).flatMap((_, count) => {
    const line = [verb, ...words.slice(0, count)].join(" ");
    return [line, `${line} `];
  });
  return [
    ...required === 0
      ? []
      : same(`${verb} with too few arguments is 400`, tooFew, "too few arguments"),
    ...verbatim ? [] : same(
      `${verb} with too many arguments is 400`,
      [[verb, ...words, "more"].join(" "), [verb, ...words, "more", "of", "them"].join("  ")],
      "too many arguments",
    ),
    ...names.flatMap((name, at) => {
      const isRest = at === fields;
      const controls = ["\x00", "\x08", "\x1b", "\x1f", "\x7f", ...isRest ? [] : ["\t"]];
      return same(
        `${verb} with a control character in its ${name} is 400`,
        controls.flatMap((sign) => [lineWith(at, sign), lineWith(at, `a${sign}b`)]),
        `control character in ${isRest ? "value" : name}`,
      );
    }),
    ...names.flatMap((_, at) =>
      keys[at]
        ? same(
          `${verb} with a key of 1,025 bytes is 400`,
          [lineWith(at, KEY_OF_1025_BYTES)],
          "key longer than 1024 bytes",
        )
        : []
    ),
  ];
}

function contextsWith(commands: Commands): Contexts {
  const { password } = SERVERS.password;
  return {
    plain: contextWith(commands),
    "short lines": contextWith(commands),
    password: contextWith(commands, { isPassword: (guess) => guess === password }),
  };
}

/** Plays a case over a MemorySocket and an empty table; returns what went wrong. */
async function playInMemory(
  one: ProtocolCase,
  { contexts, cut }: { contexts: Contexts; cut: Cut },
): Promise<string[]> {
  const failures: string[] = [];
  const name = one.server ?? "plain";
  const table = new MemoryTable();
  const services = { ...contexts[name], table, clients: new Clients() };
  const onFatal = (error: unknown) => failures.push(`${one.name}: ${error}`);
  const limits = {
    idleTimeout: 0,
    writeTimeout: 10,
    lineBytesMax: LINE_BYTES_MAX,
    ...SERVERS[name],
  };
  const turn = new Turn({ table, metrics: services.metrics, onFatal, time: IMPATIENT });
  const wrongPasswords = new WrongPasswords(IMPATIENT);
  const socket = new MemorySocket();
  const served = new Connection(socket, { services, turn, limits, wrongPasswords }).serve();
  failures.push(...await failuresOf(one, memoryPeer({ socket, served, cut })));
  return failures;
}
