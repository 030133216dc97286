/**
 * A line: where its verb is, and what follows it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Line } from "../../../server/input/line.ts";
import { asText, Memory } from "../../../tables/text.ts";

Deno.test("a line has its verb and its bytes, whatever follows the verb", () => {
  for (const text of ["GET a", "PUT a  b ", "PUT  a", "GET a é"]) {
    const line = Line.of(text);
    assertEquals([String(line.verb), String(line.bytes), line.text], [
      text.slice(0, 3),
      text,
      text,
    ]);
    assertEquals([line.isPrintable, line.fault], [false, undefined]);
  }
});

Deno.test("a line finds a verb that stands alone, and one after spaces", () => {
  for (const text of ["QUIT", "QUIT ", "   QUIT", "   QUIT   "]) {
    assertEquals(verbOf(text), "QUIT");
  }
  assertEquals(verbOf("  GET a"), "GET");
});

Deno.test("an empty line has an empty verb, and so has one of spaces", () => {
  assertEquals(Line.of("").verb.length, 0);
  assertEquals(Line.of("    ").verb.length, 0);
});

Deno.test("only a space ends a verb, no other white space", () => {
  for (const sign of ["\t", "\u00a0", "\u2028", "\u3000", "\ufeff", "\r", "\v"]) {
    assertEquals(verbOf(`GET${sign}a`), `GET${sign}a`);
    assertEquals(verbOf(`${sign} a`), sign);
  }
});

Deno.test("a line that is read again is the next line, wherever its bytes lie", () => {
  const { bytes } = asText("PUT first 1\r\n  GET é\r\n\r\nQUIT\n").memory;
  const memory = new Memory(bytes);
  const line = new Line();
  const read = (text: string, start: number) => {
    line.read(text, { memory, start, end: start + asText(text).length });
    return [String(line.verb), String(line.bytes)];
  };
  assertEquals(read("PUT first 1", 0), ["PUT", "PUT first 1"]);
  assertEquals(read("  GET é", 13), ["GET", "  GET é"]);
  assertEquals(read("", 23), ["", ""]);
  assertEquals(read("QUIT", 25), ["QUIT", "QUIT"]);
});

function verbOf(text: string): string {
  return String(Line.of(text).verb);
}
