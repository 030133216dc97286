/**
 * From bytes to lines: LineReader. That a case of the protocol makes the same lines wherever its packets
 * end is shown with the case.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { LINE_FAULTS } from "../../../server/input/line.ts";
import { LineReader } from "../../../server/input/line_reader.ts";
import type { Lines } from "../../../server/input/lines.ts";
import type { Memory } from "../../../tables/text.ts";
import { linesBy, linesOf, split, take } from "../../support/line_cuts.ts";

const utf8 = new TextEncoder();

Deno.test("LineReader returns lines without their LF or CR LF, and keeps empty ones", () => {
  assertEquals(linesOf(["a\nb\r\n\n\r\nc d\n"]), ["a", "b", "", "", "c d"]);
});

Deno.test("LineReader returns the lines that each packet completes", () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  const taken = ["a", "b\nc", "\r\n\n\nd", "", "\n"].map((text) => {
    const lines = take(reader, text);
    return lines && split(lines); // They are good until the next packet.
  });
  assertEquals(taken, [
    undefined,
    ["ab"],
    ["c", "", ""],
    undefined,
    ["d"],
  ]);
});

Deno.test("LineReader counts its lines, and says which of them are at fault", () => {
  const reader = new LineReader({ lineBytesMax: 8 });
  const bad = [0xc3, 0x0a];
  const packet = [
    ...bad,
    ...utf8.encode("a\r\n\n123456789\r\né\n"),
    ...bad,
    ...utf8.encode("tail"),
  ];
  const { text, count, isPrintable, faults } = take(reader, Uint8Array.from(packet))!;
  assertEquals(String(text), "\na\r\n\n\né\n\n");
  assertEquals([count, isPrintable], [6, false]);
  assertEquals([...faults!].map((fault) => LINE_FAULTS[fault]), [
    "not UTF-8",
    undefined,
    undefined,
    "too long",
    undefined,
    "not UTF-8",
  ]);
  const rest = take(reader, "\n")!;
  assertEquals([split(rest), rest.isPrintable], [["tail"], false]);
});

Deno.test("LineReader reports no faults if all lines are text", () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  for (const text of ["a\n", "é\r\n", "\n\n\n"]) {
    assertEquals(take(reader, text)!.faults, undefined);
  }
});

Deno.test("LineReader drops a last line without its LF", () => {
  assertEquals(linesOf(["a\nb"]), ["a"]);
  assertEquals(linesOf(["b"]), []);
  assertEquals(linesOf(["a\nb\r"]), ["a"]);
});

Deno.test("LineReader recognises lines of printable ASCII, wherever their packets end", () => {
  const isPrintable = (...packets: number[][]) => {
    const reader = new LineReader({ lineBytesMax: 100 });
    return packets.map((packet) => take(reader, Uint8Array.from(packet))).at(-1)
      ?.isPrintable;
  };
  const [CR, LF, a] = [0x0d, 0x0a, 0x61];
  for (let byte = 0; byte < 0xff; byte++) {
    const expected = byte === LF || (byte >= 0x20 && byte < 0x7f);
    assertEquals(isPrintable([a, byte, a, LF]), expected, `byte ${byte}`);
    assertEquals(isPrintable([a, byte], [a, LF]), expected, `byte ${byte}, cut after it`);
    assertEquals(
      isPrintable([a, LF, byte], [a, LF]),
      expected,
      `byte ${byte}, at the start of a line`,
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
    "telnet's bytes are not part of a line",
  );
  assertEquals(isPrintable([0xff, 0xff, a, LF]), false, "but a doubled one is");
  assertEquals(isPrintable([a, CR, 0, a, LF]), true, "nor is its return key");
});

Deno.test("LineReader recognises printable ASCII at every place of a long line", () => {
  const line = new Uint8Array(300).fill(0x61);
  line[299] = 0x0a;
  for (let at = 190; at < 260; at++) {
    for (const byte of [0x00, 0x09, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0xfe]) {
      const reader = new LineReader({ lineBytesMax: 300 });
      const { isPrintable } = take(reader, line.with(at, byte))!;
      assertEquals(isPrintable, byte >= 0x20 && byte < 0x7f, `byte ${byte} at ${at}`);
    }
  }
});

Deno.test("LineReader keeps an unfinished line when its room is used again", () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  assertEquals(take(reader, "GET a"), undefined);
  assertEquals(split(take(reader, "bc\nPUT")!), ["GET abc"]);
  assertEquals(split(take(reader, " d\n")!), ["PUT d"]);
});

Deno.test("LineReader reads nothing behind the packet in its room", () => {
  const reader = new LineReader({ lineBytesMax: 100 });
  reader.room().set(utf8.encode("a\r\nold\n"));
  assertEquals(reader.take(2), undefined);
  reader.room().set(utf8.encode("\nb\nold\xffé\n"));
  const { text, count, isPrintable } = reader.take(3)!;
  assertEquals([String(text), count, isPrintable], ["a\r\nb\n", 2, false]);
});

Deno.test("LineReader reads a long line to where it stays", () => {
  const reader = new LineReader({ lineBytesMax: 1_048_576 });
  const long = new Uint8Array(400_000).fill(0x78);
  long[long.length - 1] = 0x0a;
  for (let line = 0; line < 3; line++) {
    let at = 0;
    let lines: Lines | undefined;
    const memories = new Set<Memory["bytes"]["buffer"]>();
    while (lines === undefined) {
      const room = reader.room();
      memories.add(room.buffer);
      const packet = long.subarray(at, at + room.length);
      room.set(packet);
      at += packet.length;
      lines = reader.take(packet.length);
    }
    assertEquals([lines.count, lines.text.length, at], [1, long.length, long.length]);
    assertEquals(lines.text.memory.bytes.buffer, [...memories].at(-1));
    // At first its memory grows; later it is as large as the line before once the small one is full.
    assert(memories.size <= (line === 0 ? 8 : 2), `${memories.size} for line ${line}`);
  }
  assert(reader.room().length < 131_072, "what is large goes when the line has been answered");
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

Deno.test("LineReader keeps no more of an unfinished line than tailBytesMax", () => {
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

Deno.test("LineReader refuses a line that is not UTF-8, and no other line of its packet", () => {
  const packet = new Uint8Array([...utf8.encode("é\n"), 0xc3, 0x0a, ...utf8.encode("\ufeffè\n")]);
  assertEquals(linesOf([packet]), ["é", "not UTF-8!", "\ufeffè"]);
});

Deno.test("LineReader takes no line for a fault that only reads like one", () => {
  const half = new Uint8Array([0xed, 0xa0, 0x80, ...utf8.encode("too long\n")]);
  assertEquals(linesOf([half]), ["not UTF-8!"], "half of a surrogate pair is no UTF-8");
  assertEquals(linesOf(["too long\nnot UTF-8\n"]), ["too long", "not UTF-8"]);
});
