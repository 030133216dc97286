/**
 * Lines out of packets: what LineReader makes of them, and that it makes the same wherever they end.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { LINE_FAULTS } from "../../server/input/line.ts";
import { LineReader } from "../../server/input/line_reader.ts";
import type { Lines } from "../../server/input/lines.ts";
import { Text } from "../../tables/text.ts";

/** Longer inputs are cut at some places only: each cut reads the whole of it. */
const CUT_EVERYWHERE_BYTES_MAX = 3_000;

const utf8 = new TextEncoder();

/** Asserts that these bytes make the same lines wherever they are cut in two, and byte by byte. */
export function linesWhereverCut(bytes: Uint8Array<ArrayBuffer>, lineBytesMax: number): void {
  const whole = linesOf([bytes], lineBytesMax);
  for (const at of cutsOf(bytes)) {
    const lines = linesOf([bytes.subarray(0, at), bytes.subarray(at)], lineBytesMax);
    assertEquals(lines, whole, `cut at ${at}`);
  }
  if (bytes.length > 10 * CUT_EVERYWHERE_BYTES_MAX) return;
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  assertEquals(linesOf(single, lineBytesMax), whole, "byte by byte");
}

/** Where to cut: everywhere; of long inputs the ends, and around each line end. */
function cutsOf(bytes: Uint8Array): number[] {
  const all = Array.from({ length: bytes.length + 1 }, (_, i) => i);
  if (bytes.length <= CUT_EVERYWHERE_BYTES_MAX) return all;
  const isNear = (at: number) => bytes.subarray(Math.max(0, at - 3), at + 3).includes(0x0a);
  return all.filter((at) => at < 10 || isNear(at) || at % 262_144 === 0);
}

/** The lines of these packets; one that is refused is what is wrong with it, with a "!". */
export function linesOf(
  packets: (string | Uint8Array<ArrayBuffer>)[],
  lineBytesMax = 1_000,
): string[] {
  return linesBy(new LineReader({ lineBytesMax }), packets);
}

/** The same, of a reader that may have read others before. */
export function linesBy(
  reader: LineReader,
  packets: (string | Uint8Array<ArrayBuffer>)[],
): string[] {
  return packets.flatMap((packet) => {
    const bytes = typeof packet === "string" ? utf8.encode(packet) : packet;
    const texts: string[] = [];
    for (const lines of takenBy(reader, bytes)) {
      texts.push(...lines === MARK ? ["timing mark"] : split(lines));
    }
    return texts;
  });
}

/** Where telnet wants a timing mark. */
const MARK = Symbol();

/** What a reader makes of bytes, read to its room as a connection does. Lines are good for one step. */
function* takenBy(reader: LineReader, bytes: Uint8Array): Generator<Lines | typeof MARK> {
  for (let at = 0; at < bytes.length;) {
    const room = reader.room();
    const packet = bytes.subarray(at, at + room.length);
    room.set(packet);
    at += packet.length;
    for (let lines = reader.take(packet.length);; lines = reader.takeRest()) {
      if (lines !== undefined) yield lines;
      if (reader.awaitsTimingMark) {
        reader.awaitsTimingMark = false;
        yield MARK;
      }
      if (!reader.hasRest) break;
    }
  }
}

/** The lines of one packet, which must fit in the reader's room; undefined where none ends in it. */
export function take(reader: LineReader, packet: string | Uint8Array): Lines | undefined {
  const bytes = typeof packet === "string" ? utf8.encode(packet) : packet;
  const room = reader.room();
  room.set(bytes);
  return reader.take(bytes.length);
}

/** All lines of these bytes as one, in memory of their own. */
export function linesIn(packet: string | Uint8Array, lineBytesMax = 1_048_576): Lines {
  const bytes = typeof packet === "string" ? utf8.encode(packet) : packet;
  const texts: number[] = [];
  const faults: number[] = [];
  let isPrintable = true;
  for (const lines of takenBy(new LineReader({ lineBytesMax }), bytes)) {
    if (lines === MARK) continue;
    for (const byte of lines.text.toBytes()) texts.push(byte);
    for (let i = 0; i < lines.count; i++) faults.push(lines.faults?.[i] ?? 0);
    isPrintable &&= lines.isPrintable;
  }
  return {
    text: Text.from(Uint8Array.from(texts)),
    count: faults.length,
    isPrintable,
    faults: faults.some((fault) => fault !== 0) ? Uint8Array.from(faults) : undefined,
  };
}

/** Lines as strings, without their ends. */
export function split({ text, count, faults }: Lines): string[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const lines = decoder.decode(text.toBytes()).split("\n").map((line) => line.replace(/\r$/, ""));
  assertEquals(lines.pop(), "", "the last line ends with LF");
  assertEquals(lines.length, count);
  return lines.map((line, i) => {
    const fault = LINE_FAULTS[faults?.[i] ?? 0];
    if (fault === undefined) return line;
    assertEquals(line, "", "none of it is left");
    return `${fault}!`;
  });
}
