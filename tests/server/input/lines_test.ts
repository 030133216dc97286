/**
 * From bytes to lines: `LineReader` and the telnet filter in front of it. Every case of the
 * protocol is cut at every place, because packets end anywhere.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { LineReader, type Lines } from "../../../server/input/lines.ts";
import { TelnetFilter } from "../../../server/input/telnet.ts";
import {
  bytesOf,
  PROTOCOL_CASES,
  type ProtocolCase,
  SERVERS,
} from "../../commands/protocol_cases.ts";

/** Cases of more bytes are cut at some places only: each cut reads the whole case. */
const CUT_EVERYWHERE_BYTES_MAX = 3_000;

const utf8 = new TextEncoder();

Deno.test("each case of the protocol gives the same lines wherever a packet ends", () => {
  for (const one of PROTOCOL_CASES) {
    const bytes = bytesOf(one);
    const whole = linesOf([bytes], limitOf(one));
    for (const at of cutsOf(bytes)) {
      const lines = linesOf([bytes.subarray(0, at), bytes.subarray(at)], limitOf(one));
      assertEquals(lines, whole, `${one.name}, cut at ${at}`);
    }
  }
});

Deno.test("each case of the protocol gives the same lines where each byte comes alone", () => {
  for (const one of PROTOCOL_CASES) {
    const bytes = bytesOf(one);
    if (bytes.length > 10 * CUT_EVERYWHERE_BYTES_MAX) continue;
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    const whole = linesOf([bytes], limitOf(one));
    assertEquals(linesOf(single, limitOf(one)), whole, one.name);
  }
});

Deno.test("LineReader gives lines without their LF or CR LF, and keeps empty ones", () => {
  assertEquals(linesOf(["a\nb\r\n\n\r\nc d\n"]), ["a", "b", "", "", "c d"]);
});

Deno.test("LineReader gives the lines that a packet completes, each packet's by themselves", () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  const taken = ["a", "b\nc", "\r\n\n\nd", "", "\n"].map((text) => reader.take(utf8.encode(text)));
  assertEquals(taken.map((lines) => lines && split(lines)), [
    undefined,
    ["ab"],
    ["c", "", ""],
    undefined,
    ["d"],
  ]);
});

Deno.test("LineReader counts its lines, and says of which each fault is", () => {
  const reader = new LineReader({ lineBytesMax: 8 });
  const bad = [0xc3, 0x0a];
  const packet = [
    ...bad,
    ...utf8.encode("a\r\n\n123456789\r\né\n"),
    ...bad,
    ...utf8.encode("tail"),
  ];
  const { bytes, count, isPrintable, faults } = reader.take(Uint8Array.from(packet))!;
  assertEquals(new TextDecoder().decode(bytes), "\na\r\n\n\né\n\n");
  assertEquals([count, isPrintable], [6, false]);
  assertEquals([...faults!], [[0, "not UTF-8"], [3, "too long"], [5, "not UTF-8"]]);
  const rest = reader.take(utf8.encode("\n"))!;
  assertEquals([split(rest), rest.isPrintable], [["tail"], false]);
});

Deno.test("LineReader has no faults to tell of where all lines are text", () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  for (const text of ["a\n", "é\r\n", "\n\n\n"]) {
    assertEquals(reader.take(utf8.encode(text))!.faults, undefined);
  }
});

Deno.test("LineReader drops what nothing ended", () => {
  assertEquals(linesOf(["a\nb"]), ["a"]);
  assertEquals(linesOf(["b"]), []);
  assertEquals(linesOf(["a\nb\r"]), ["a"]);
});

Deno.test("LineReader knows lines of printable ASCII, wherever their packets end", () => {
  const isPrintable = (...packets: number[][]) => {
    const reader = new LineReader({ lineBytesMax: 100 });
    return packets.map((packet) => reader.take(Uint8Array.from(packet))).at(-1)?.isPrintable;
  };
  const [CR, LF, a] = [0x0d, 0x0a, 0x61];
  for (let byte = 0; byte < 0xff; byte++) {
    const expected = byte === LF || (byte >= 0x20 && byte < 0x7f);
    assertEquals(isPrintable([a, byte, a, LF]), expected, `byte ${byte}`);
    assertEquals(isPrintable([a, byte], [a, LF]), expected, `byte ${byte}, cut behind it`);
    assertEquals(
      isPrintable([a, LF, byte], [a, LF]),
      expected,
      `byte ${byte}, begins a line`,
    );
    assertEquals(
      isPrintable([a, byte, LF], [a, LF]),
      true,
      `byte ${byte}, in an earlier packet`,
    );
  }
  assertEquals(isPrintable([a, CR, LF, a, LF]), true, "lines may end with CR LF");
  assertEquals(
    isPrintable([0xff, 0xf1, a, LF]),
    true,
    "telnet's bytes are no part of a line",
  );
  assertEquals(isPrintable([0xff, 0xff, a, LF]), false, "but a doubled one is");
  assertEquals(isPrintable([a, CR, 0, a, LF]), true, "nor is its return key");
});

Deno.test("LineReader keeps nothing of the buffer that a packet came in, once its lines are answered", () => {
  const buffer = utf8.encode("GET a");
  const reader = new LineReader({ lineBytesMax: 100 });
  assertEquals(reader.take(buffer), undefined);
  buffer.set(utf8.encode("XXXXX"));
  const end = utf8.encode("bc\nPUT");
  assertEquals(split(reader.take(end)!), ["GET abc"]);
  end.fill(0);
  assertEquals(split(reader.take(utf8.encode(" d\n"))!), ["PUT d"]);
});

Deno.test("LineReader refuses a line of one byte more than the limit, CR LF not counted", () => {
  for (const end of ["\n", "\r\n"]) {
    assertEquals(linesOf([`12345678${end}x\n`], 8), ["12345678", "x"]);
    assertEquals(linesOf([`123456789${end}x\n`], 8), ["too long!", "x"]);
    assertEquals(linesOf(["12345678", end, "x\n"], 8), ["12345678", "x"]);
    assertEquals(linesOf(["123456789", end, "x\n"], 8), ["too long!", "x"]);
  }
  assertEquals(linesOf(["12345678\r", "\nx\n"], 8), ["12345678", "x"]);
  assertEquals(linesOf(["12345678\r\r", "\nx\n"], 8), ["too long!", "x"]);
});

Deno.test("LineReader counts the limit in bytes, not in characters", () => {
  assertEquals(linesOf(["éééé\nééééé\n"], 8), ["éééé", "too long!"]);
});

Deno.test("LineReader refuses a long line once, however many packets it takes", () => {
  const packets = ["a\n", ...Array(50).fill("0123456789"), "\nb\n"];
  assertEquals(linesOf(packets, 20), ["a", "too long!", "b"]);
});

Deno.test("LineReader keeps less of a line without its end where it is told to", () => {
  const reader = new LineReader({ lineBytesMax: 1_000 });
  reader.tailBytesMax = 10;
  assertEquals(linesBy(reader, ["0123456789", "\n"]), ["0123456789"]);
  assertEquals(linesBy(reader, ["0123456789", "0123456789", "0", "\n"]), ["too long!"]);
  assertEquals(linesBy(reader, ["01234567890123456789\n"]), ["01234567890123456789"]);
  reader.tailBytesMax = 1_000;
  assertEquals(linesBy(reader, ["0123456789", "0123456789", "0", "\n"]), [
    "012345678901234567890",
  ]);
});

Deno.test("LineReader refuses a line that is no UTF-8, and no other line of its packet", () => {
  const packet = new Uint8Array([...utf8.encode("é\n"), 0xc3, 0x0a, ...utf8.encode("\ufeffè\n")]);
  assertEquals(linesOf([packet]), ["é", "not UTF-8!", "\ufeffè"]);
});

Deno.test("LineReader takes no line for a fault that only has the words of one", () => {
  const half = new Uint8Array([0xed, 0xa0, 0x80, ...utf8.encode("too long\n")]);
  assertEquals(linesOf([half]), ["not UTF-8!"], "half of a surrogate pair is no UTF-8");
  assertEquals(linesOf(["too long\nnot UTF-8\n"]), ["too long", "not UTF-8"]);
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

function linesOf(packets: (string | Uint8Array<ArrayBuffer>)[], lineBytesMax = 1_000): string[] {
  return linesBy(new LineReader({ lineBytesMax }), packets);
}

/** The lines of these packets; one that stands for a fault is its words, with a "!". */
function linesBy(reader: LineReader, packets: (string | Uint8Array<ArrayBuffer>)[]): string[] {
  return packets.flatMap((packet) => {
    const lines = reader.take(typeof packet === "string" ? utf8.encode(packet) : packet);
    return lines === undefined ? [] : split(lines);
  });
}

/** Lines as strings, without their ends. */
function split({ bytes, count, faults }: Lines): string[] {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  assertEquals(lines.pop(), "", "the last line is ended");
  assertEquals(lines.length, count);
  return lines.map((line, i) => {
    const fault = faults?.get(i);
    if (fault === undefined) return line;
    assertEquals(line, "", "nothing is left of it");
    return `${fault}!`;
  });
}
