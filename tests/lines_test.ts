/**
 * From bytes to lines: `LineReader` and the telnet filter in front of it. Every case of the
 * protocol is cut at every place, because packets end anywhere.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { faultOf, LineReader } from "../server/lines.ts";
import { TelnetFilter } from "../server/telnet.ts";
import { bytesOf, PROTOCOL_CASES, type ProtocolCase, SERVERS } from "./protocol_cases.ts";

/** Cases of more bytes are cut at some places only: each cut reads the whole case. */
const CUT_EVERYWHERE_BYTES_MAX = 3_000;

const utf8 = new TextEncoder();

Deno.test("each case of the protocol gives the same lines wherever a packet ends", async () => {
  for (const one of PROTOCOL_CASES) {
    const bytes = bytesOf(one);
    const whole = await linesOf([bytes], limitOf(one));
    for (const at of cutsOf(bytes)) {
      const lines = await linesOf([bytes.subarray(0, at), bytes.subarray(at)], limitOf(one));
      assertEquals(lines, whole, `${one.name}, cut at ${at}`);
    }
  }
});

Deno.test("each case of the protocol gives the same lines where each byte comes alone", async () => {
  for (const one of PROTOCOL_CASES) {
    const bytes = bytesOf(one);
    if (bytes.length > 10 * CUT_EVERYWHERE_BYTES_MAX) continue;
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    const whole = await linesOf([bytes], limitOf(one));
    assertEquals(await linesOf(single, limitOf(one)), whole, one.name);
  }
});

Deno.test("LineReader gives lines without their LF or CR LF, and keeps empty ones", async () => {
  assertEquals(await linesOf(["a\nb\r\n\n\r\nc d\n"]), ["a", "b", "", "", "c d"]);
});

Deno.test("LineReader gives the lines that a packet completes, each packet's by themselves", async () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  const reads = ["a", "b\nc", "\r\n\n\nd", "", "\n"].map((text) => reader.read(utf8.encode(text)));
  assertEquals(await Promise.all(reads), [[], ["ab"], ["c", "", ""], [], ["d"]]);
});

Deno.test("LineReaders that read at once get each their own lines", async () => {
  const readers = Array.from({ length: 200 }, () => new LineReader({ lineBytesMax: 100_000 }));
  const long = "x".repeat(20_000);
  for (let round = 0; round < 3; round++) {
    const expected = readers.map((_, i) => {
      const lines = Array.from({ length: (i + round) % 5 }, (_, j) => `${round} ${i} ${j}`);
      return i % 7 === 0 ? [...lines, `${long}${i}`] : lines;
    });
    const found = await Promise.all(expected.map(async (lines, i) => {
      const packet = utf8.encode(lines.map((line) => `${line}\n`).join("") + `tail ${i}`);
      const found = await readers[i]!.read(packet);
      const [rest] = await readers[i]!.read(utf8.encode("\n")); // while others still wait
      assertEquals(rest, `tail ${i}`);
      return found;
    }));
    assertEquals(found, expected);
  }
});

Deno.test("LineReaders with much to split leave moments for others", async () => {
  const packet = new Uint8Array(65_536).fill(0x0a);
  let moments = 0;
  const timer = setInterval(() => moments++, 0);
  const reads = Array.from({ length: 40 }, () => new LineReader({ lineBytesMax: 1 }).read(packet));
  const lines = await Promise.all(reads);
  clearInterval(timer);
  assert(moments > 0, "timers have run meanwhile");
  assertEquals(lines.flat().length, 40 * packet.length);
});

Deno.test("LineReader drops what nothing ended", async () => {
  assertEquals(await linesOf(["a\nb"]), ["a"]);
  assertEquals(await linesOf(["b"]), []);
  assertEquals(await linesOf(["a\nb\r"]), ["a"]);
});

Deno.test("LineReader knows lines of printable ASCII, wherever their packets end", async () => {
  const isPrintable = async (...packets: number[][]) => {
    const lines = new LineReader({ lineBytesMax: 100 });
    for (const packet of packets) await lines.read(Uint8Array.from(packet));
    return lines.isPrintable;
  };
  const [CR, LF, a] = [0x0d, 0x0a, 0x61];
  for (let byte = 0; byte < 0xff; byte++) {
    const expected = byte === LF || (byte >= 0x20 && byte < 0x7f);
    assertEquals(await isPrintable([a, byte, a, LF]), expected, `byte ${byte}`);
    assertEquals(await isPrintable([a, byte], [a, LF]), expected, `byte ${byte}, cut behind it`);
    assertEquals(
      await isPrintable([a, LF, byte], [a, LF]),
      expected,
      `byte ${byte}, begins a line`,
    );
    assertEquals(
      await isPrintable([a, byte, LF], [a, LF]),
      true,
      `byte ${byte}, in an earlier packet`,
    );
  }
  assertEquals(await isPrintable([a, CR, LF, a, LF]), true, "lines may end with CR LF");
  assertEquals(
    await isPrintable([0xff, 0xf1, a, LF]),
    true,
    "telnet's bytes are no part of a line",
  );
  assertEquals(await isPrintable([0xff, 0xff, a, LF]), false, "but a doubled one is");
  assertEquals(await isPrintable([a, CR, 0, a, LF]), true, "nor is its return key");
});

Deno.test("LineReader does not hold the buffer that a packet came in", async () => {
  const buffer = utf8.encode("GET a");
  const reader = new LineReader({ lineBytesMax: 100 });
  const first = reader.read(buffer);
  buffer.set(utf8.encode("XXXXX"));
  assertEquals(await first, []);
  const end = utf8.encode("bc\n");
  const second = reader.read(end);
  end.fill(0);
  assertEquals(await second, ["GET abc"]);
});

Deno.test("LineReader refuses a line of one byte more than the limit, CR LF not counted", async () => {
  for (const end of ["\n", "\r\n"]) {
    assertEquals(await linesOf([`12345678${end}x\n`], 8), ["12345678", "x"]);
    assertEquals(await linesOf([`123456789${end}x\n`], 8), ["too long!", "x"]);
    assertEquals(await linesOf(["12345678", end, "x\n"], 8), ["12345678", "x"]);
    assertEquals(await linesOf(["123456789", end, "x\n"], 8), ["too long!", "x"]);
  }
  assertEquals(await linesOf(["12345678\r", "\nx\n"], 8), ["12345678", "x"]);
  assertEquals(await linesOf(["12345678\r\r", "\nx\n"], 8), ["too long!", "x"]);
});

Deno.test("LineReader counts the limit in bytes, not in characters", async () => {
  assertEquals(await linesOf(["éééé\nééééé\n"], 8), ["éééé", "too long!"]);
});

Deno.test("LineReader refuses a long line once, however many packets it takes", async () => {
  const packets = ["a\n", ...Array(50).fill("0123456789"), "\nb\n"];
  assertEquals(await linesOf(packets, 20), ["a", "too long!", "b"]);
});

Deno.test("LineReader keeps less of a line without its end where it is told to", async () => {
  const reader = new LineReader({ lineBytesMax: 1_000 });
  reader.tailBytesMax = 10;
  assertEquals(await linesBy(reader, ["0123456789", "\n"]), ["0123456789"]);
  assertEquals(await linesBy(reader, ["0123456789", "0123456789", "0", "\n"]), ["too long!"]);
  assertEquals(await linesBy(reader, ["01234567890123456789\n"]), ["01234567890123456789"]);
  reader.tailBytesMax = 1_000;
  assertEquals(await linesBy(reader, ["0123456789", "0123456789", "0", "\n"]), [
    "012345678901234567890",
  ]);
});

Deno.test("LineReader refuses a line that is no UTF-8, and no other line of its packet", async () => {
  const packet = new Uint8Array([...utf8.encode("é\n"), 0xc3, 0x0a, ...utf8.encode("\ufeffè\n")]);
  assertEquals(await linesOf([packet]), ["é", "not UTF-8!", "\ufeffè"]);
});

Deno.test("LineReader takes no line of a client for one of its own marks", async () => {
  // A fault is marked by half of a surrogate pair, which no UTF-8 holds.
  const half = new Uint8Array([0xed, 0xa0, 0x80, ...utf8.encode("too long\n")]);
  assertEquals(await linesOf([half]), ["not UTF-8!"]);
  assertEquals(await linesOf(["too long\nnot UTF-8\n"]), ["too long", "not UTF-8"]);
  assertEquals(faultOf("\ufffdtoo long"), undefined);
});

Deno.test("the telnet filter leaves a packet without telnet's bytes as it is", () => {
  const packet = utf8.encode("PUT a é\r\n");
  assert(new TelnetFilter().strip(packet) === packet, "it is the same array");
});

Deno.test("the telnet filter takes out every command of two bytes", () => {
  for (let command = 0; command < 0xfa; command++) {
    assertEquals(strip([0x61, 0xff, command, 0x62]), [0x61, 0x62], `IAC ${command}`);
  }
});

Deno.test("the telnet filter takes out every option with each of the four words", () => {
  for (const word of [0xfb, 0xfc, 0xfd, 0xfe]) {
    for (let option = 0; option <= 0xff; option++) {
      assertEquals(strip([0x61, 0xff, word, option, 0x62]), [0x61, 0x62], `IAC ${word} ${option}`);
    }
  }
});

Deno.test("the telnet filter takes out a subnegotiation up to its IAC SE", () => {
  assertEquals(strip([0x61, 0xff, 0xfa, 31, 0, 80, 0, 24, 0xff, 0xf0, 0x62]), [0x61, 0x62]);
  // IAC IAC in it is data, and so is a lone SE; a line end is too.
  assertEquals(strip([0xff, 0xfa, 31, 0xff, 0xff, 0xf0, 0x0a, 0xff, 0xf0, 0x62]), [0x62]);
  // RFC 855 knows no other command in it: it is passed over.
  assertEquals(strip([0xff, 0xfa, 31, 0xff, 0xf1, 0x0a, 0xff, 0xf0, 0x62]), [0x62]);
});

Deno.test("the telnet filter makes one 0xFF of a doubled IAC", () => {
  assertEquals(strip([0x61, 0xff, 0xff, 0x62]), [0x61, 0xff, 0x62]);
  assertEquals(strip([0xff, 0xff, 0xff, 0xff]), [0xff, 0xff]);
});

Deno.test("the telnet filter makes CR LF of CR NUL, and leaves every other NUL", () => {
  assertEquals(strip([0x0d, 0x00, 0x61]), [0x0d, 0x0a, 0x61]);
  assertEquals(strip([0x0d, 0x0a, 0x00]), [0x0d, 0x0a, 0x00]);
  assertEquals(strip([0x00, 0x0d, 0x00, 0x00]), [0x00, 0x0d, 0x0a, 0x00]);
  assertEquals(strip([0x0d, 0xff, 0xf1, 0x00]), [0x0d, 0x0a], "a command between the two");
});

Deno.test("the telnet filter does the same wherever a sequence is cut", () => {
  const bytes = [
    ...[0x61, 0xff, 0xfb, 0x0a, 0x62, 0xff, 0xf1, 0x63, 0xff, 0xff, 0x64, 0x0d, 0x00, 0x00],
    ...[0xff, 0xfa, 31, 0xff, 0xff, 0xf0, 0x0d, 0x00, 0xff, 0xf0, 0x65, 0x0d, 0xff, 0xfd, 1, 0x00],
  ];
  const whole = strip(bytes);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const parts = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)];
      const packets = parts.filter((part) => part.length > 0);
      assertEquals(strip(...packets), whole, `cut at ${first} and ${second}`);
    }
  }
});

function strip(...packets: number[][]): number[] {
  const filter = new TelnetFilter();
  return packets.flatMap((packet) => [...filter.strip(new Uint8Array(packet))]);
}

function limitOf({ server = "plain" }: ProtocolCase): number {
  return SERVERS[server].lineBytesMax ?? 1_048_576;
}

/** Where to cut: everywhere; of long cases the ends, and around each line end. */
function cutsOf(bytes: Uint8Array): number[] {
  const all = Array.from({ length: bytes.length + 1 }, (_, i) => i);
  if (bytes.length <= CUT_EVERYWHERE_BYTES_MAX) return all;
  const isNear = (at: number) => bytes.subarray(Math.max(0, at - 3), at + 3).includes(0x0a);
  return all.filter((at) => at < 10 || isNear(at) || at % 262_144 === 0);
}

function linesOf(packets: (string | Uint8Array)[], lineBytesMax = 1_000): Promise<string[]> {
  return linesBy(new LineReader({ lineBytesMax }), packets);
}

/** The lines of these packets; one that stands for a fault gets a "!". */
async function linesBy(reader: LineReader, packets: (string | Uint8Array)[]): Promise<string[]> {
  const lines: string[] = [];
  for (const packet of packets) {
    const bytes = typeof packet === "string" ? utf8.encode(packet) : packet;
    for (const line of await reader.read(bytes)) {
      const fault = faultOf(line);
      lines.push(fault === undefined ? line : `${fault}!`);
    }
  }
  return lines;
}
