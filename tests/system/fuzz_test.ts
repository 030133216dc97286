/**
 * Fuzzing: bytes of every kind, in pieces of any size, to one server over real sockets, held against
 * the model in `protocol_model.ts`: what is answered, whether the connection is closed, what is stored
 * then, and that the next client is served.
 *
 * `KEYLINE_FUZZ_RUNS` sets the number of cases, `KEYLINE_FUZZ_SEED` repeats a run.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import type { Client } from "../support/client.ts";
import { numberFrom, ROOT, ServerProcess, testServer } from "../support/harness.ts";
import { BAD_REQUEST, conversation, latin1 } from "../support/protocol_model.ts";

const RUNS = numberFrom("KEYLINE_FUZZ_RUNS", 300);
const SEED = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 0x7fffffff);
/** Just over the longest key, so that both limits are met by lines of a size that makes many cases. */
const LINE_BYTES_MAX = 1_100;
const KNOWN_VERBS = ["GET", "PUT", "DELETE", "CLEAR", "QUIT"];
/** How many cases share a server, before the log says how far it is. */
const REPORT_RUNS = 10_000;

const utf8 = new TextEncoder();

for (const [where, flags] of [["in memory", ["--memory"]], ["on disk", []]] as const) {
  const runs = where === "in memory" ? RUNS : Math.ceil(RUNS / 10);
  testServer(
    `any bytes in any pieces are answered by the rules of the protocol, ${where}`,
    () => fuzz({ flags, runs }),
  );
}

/** What a case is: the bytes, where they are cut into pieces, and before which pieces to wait. */
interface Case {
  readonly parts: Uint8Array[];
  readonly cuts: Cut[];
}

interface Cut {
  /** Which part it is near, and how many bytes from the start of that part it is. */
  readonly part: number;
  readonly from: number;
  /** Whether to wait there, so that what follows comes in a packet of its own. */
  readonly wait: boolean;
}

async function fuzz({ flags, runs }: { flags: readonly string[]; runs: number }): Promise<void> {
  await using server = await ServerProcess.start({
    args: [...flags, "--max-line", String(LINE_BYTES_MAX), "--disable", otherVerbs().join(",")],
  });
  using watcher = await server.connect();
  console.log(`${runs} cases, KEYLINE_FUZZ_SEED=${SEED}`);
  let done = 0;
  const property = fc.asyncProperty(cases(), async (example) => {
    await check(server, watcher, example);
    if (++done % REPORT_RUNS === 0) console.log(`${done} cases`);
  });
  await fc.assert(property, { numRuns: runs, seed: SEED });
}

/** Sends one case, and holds everything that can be seen of it against the model. */
async function check(server: ServerProcess, watcher: Client, { parts, cuts }: Case): Promise<void> {
  assertEquals(await watcher.ask("CLEAR"), "200 OK", "another client is served");
  const sent = joined(parts);
  const expected = conversation(sent, { lineBytesMax: LINE_BYTES_MAX });
  using client = await server.connect();
  await sendInPieces(client, piecesOf(parts, cuts));
  // If the model says that the server closes the connection, the client must not.
  if (!expected.isClosed) await client.finish();
  // The answer to a timing mark is no reply, and may stand before any.
  const received = (await client.rest()).replaceAll("\ufffd\ufffd\x06", "");
  assertEquals(received.split("\r\n").map(comparable), [...expected.replies.map(asText), ""]);
  await checkTable(watcher, expected.table);
}

/** A 400 is compared without its reason, which must not hold what could move a cursor. */
function comparable(reply: string): string {
  if (!reply.startsWith(BAD_REQUEST)) return reply;
  assert(/^[ -~]+$/.test(reply), `${JSON.stringify(reply)} is not plain text`);
  return BAD_REQUEST;
}

async function checkTable(watcher: Client, table: ReadonlyMap<string, string>): Promise<void> {
  const keys = new Set([...KEYS.map((key) => latin1(utf8.encode(key))), ...table.keys()]);
  const good = [...keys].filter((key) => key.length <= 1_024);
  await watcher.send(good.map((key) => `GET ${asText(key)}\n`).join(""));
  for (const key of good) {
    const value = table.get(key);
    const expected = value === undefined ? "404 NOT FOUND" : `200 OK ${asText(value)}`;
    assertEquals(await watcher.line(), expected, `under ${JSON.stringify(asText(key))}`);
  }
}

async function sendInPieces(
  client: Client,
  pieces: { bytes: Uint8Array; wait: boolean }[],
): Promise<void> {
  try {
    for (const { bytes, wait } of pieces) {
      if (wait) await new Promise((resolve) => setTimeout(resolve, 1));
      await client.send(bytes);
    }
  } catch (error) {
    // The server has closed the connection; its replies show whether that was right.
    const isGone = error instanceof Deno.errors.BrokenPipe ||
      error instanceof Deno.errors.ConnectionReset;
    if (!isGone) throw error;
  }
}

/** All bytes, cut where the case says. */
function piecesOf(parts: Uint8Array[], cuts: Cut[]): { bytes: Uint8Array; wait: boolean }[] {
  const sent = joined(parts);
  const begins = parts.map((_, i) => joined(parts.slice(0, i)).length);
  const sorted = cuts
    .map(({ part, from, wait }) => ({ at: begins[part % parts.length]! + from, wait }))
    .filter(({ at }) => at >= 0)
    .sort((a, b) => a.at - b.at);
  return [{ at: 0, wait: false }, ...sorted]
    .map(({ at, wait }, i) => ({ bytes: sent.subarray(at, sorted[i]?.at), wait }))
    .filter(({ bytes }) => bytes.length > 0);
}

// What is sent: whole requests most of the time, so that there is a state to be wrong about.

const KEYS = [
  "a",
  "b",
  "key",
  "é",
  "漢字",
  "\u{1f511}",
  "\u2028",
  "\ufeffa",
  "__proto__",
  "constructor",
  "Host:",
  "x".repeat(1_024),
  "x".repeat(1_025),
  "é".repeat(512),
  `${"漢".repeat(341)}xx`,
];
const VALUES = ["1", "some words", " spaced  out ", "\t", "\ufeff", "é\u2028\u0085", "QUIT", "0"];
const ENDS = ["\n", "\r\n", "\r\0", "\r\r\n", "\n\n", " \n", "\r"];

function cases(): fc.Arbitrary<Case> {
  return fc.record({
    parts: fc.array(part(), { minLength: 1, maxLength: 12 }),
    cuts: fc.array(cut(), { maxLength: 6 }),
  });
}

function cut(): fc.Arbitrary<Cut> {
  return fc.record({
    part: fc.nat({ max: 11 }),
    from: fc.oneof(fc.integer({ min: -3, max: 2 }), fc.nat({ max: 1_200 })),
    wait: fc.boolean(),
  });
}

function part(): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    { weight: 12, arbitrary: request() },
    { weight: 4, arbitrary: mutated(request()) },
    { weight: 3, arbitrary: interrupted(request()) },
    { weight: 2, arbitrary: longLine() },
    { weight: 2, arbitrary: badUtf8() },
    { weight: 2, arbitrary: telnet() },
    { weight: 1, arbitrary: http() },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    { weight: 1, arbitrary: fc.constant(utf8.encode("\x16")) },
  );
}

function request(): fc.Arbitrary<Uint8Array> {
  const verb = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom("GET", "PUT", "PUT", "DELETE", "CLEAR", "put", "Get") },
    { weight: 1, arbitrary: fc.constantFrom("QUIT", "HELP", "__proto__", "PUTS", "ſtats") },
  );
  const field = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...KEYS.slice(0, 3)) },
    { weight: 2, arbitrary: fc.constantFrom(...KEYS, ...VALUES) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  );
  return fc.tuple(
    fc.constantFrom("", "", "", "", " ", "   ", "\ufeff"),
    verb,
    fc.array(fc.tuple(fc.constantFrom(" ", " ", " ", "  ", "\t"), field), { maxLength: 3 }),
    fc.constantFrom("\n", "\n", "\r\n", ...ENDS),
  ).map(([before, verb, fields, end]) => utf8.encode(before + verb + fields.flat().join("") + end));
}

/** The same bytes with one changed, left out, or put in. */
function mutated(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.record({
    at: fc.nat(),
    remove: fc.constantFrom(0, 1, 2),
    insert: fc.uint8Array({ maxLength: 2 }),
  });
  return fc.tuple(bytes, change).map(([whole, { at, remove, insert }]) => {
    const from = at % (whole.length + 1);
    return joined([whole.subarray(0, from), insert, whole.subarray(from + remove)]);
  });
}

/** The same bytes with a telnet sequence somewhere in them. */
function interrupted(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(bytes, telnet(), fc.nat()).map(([whole, sequence, at]) => {
    const from = at % (whole.length + 1);
    return joined([whole.subarray(0, from), sequence, whole.subarray(from)]);
  });
}

function telnet(): fc.Arbitrary<Uint8Array> {
  const option = fc.tuple(fc.constantFrom(0xfb, 0xfc, 0xfd, 0xfe), fc.nat({ max: 255 }))
    .map(([command, option]) => [0xff, command, option]);
  const subnegotiation = fc.array(fc.constantFrom(0x00, 0x0a, 0x0d, 0xf0, 0xff), { maxLength: 6 })
    .map((body) => [0xff, 0xfa, ...body, 0xff, 0xf0]);
  const command = fc.nat({ max: 255 }).map((byte) => [0xff, byte]);
  return fc.oneof(
    { weight: 3, arbitrary: option },
    { weight: 2, arbitrary: subnegotiation },
    { weight: 2, arbitrary: command },
  ).map((bytes) => new Uint8Array(bytes));
}

/** Lines about as long as the limit. */
function longLine(): fc.Arbitrary<Uint8Array> {
  const text = fc.constantFrom("x", "é", "漢", " ");
  const end = fc.constantFrom("\n", "\r\n", "\r\r\n", "\r\0", "");
  return fc.tuple(text, fc.integer({ min: -3, max: 3 }), fc.constantFrom(1, 1, 3), end)
    .map(([text, beside, times, end]) => {
      const length = times * LINE_BYTES_MAX + beside - "PUT a ".length;
      return utf8.encode(
        `PUT a ${text.repeat(length / utf8.encode(text).length)}`.padEnd(length, ".") + end,
      );
    });
}

/** Lines that look like text until they are decoded. */
function badUtf8(): fc.Arbitrary<Uint8Array> {
  const bytes = fc.constantFrom(
    [0x80],
    [0xc0, 0x80],
    [0xc3],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x9f, 0x94],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf8, 0x88, 0x80, 0x80, 0x80],
    [0xff, 0xff],
  );
  return fc.tuple(fc.constantFrom("GET ", "PUT a ", "PUT ", ""), bytes, fc.constantFrom(...ENDS))
    .map(([before, bytes, end]) =>
      joined([utf8.encode(before), new Uint8Array(bytes), utf8.encode(end)])
    );
}

function http(): fc.Arbitrary<Uint8Array> {
  return fc.constantFrom(
    "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PUT a HTTP/1.0\r\n",
    "PUT a HTTP/2\n",
    "PUT a HTTP/x\n",
    "POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nCLEAR\n",
    "Host: localhost\r\n",
    "hOST:\n",
    " Host: a\n",
  ).map((text) => utf8.encode(text));
}

/** The verbs that the model does not know. */
function otherVerbs(): string[] {
  return [...Deno.readDirSync(new URL("commands/", ROOT))]
    .map(({ name }) => name.replace(/\.ts$/, "").toUpperCase())
    .filter((verb) => !KNOWN_VERBS.includes(verb));
}

function asText(bytes: string): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
    Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)),
  );
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
