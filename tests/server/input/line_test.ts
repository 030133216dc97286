/**
 * A line: where its verb is, and what follows it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Line } from "../../../server/input/line.ts";
import { asText, Text } from "../../../tables/text.ts";

Deno.test("a line has its verb and its bytes, whatever follows the verb", () => {
  for (const text of ["GET a", "PUT a  b ", "PUT  a", "GET a é"]) {
    const line = Line.of(text);
    assertEquals([verbOf(line), bytesOf(line), line.text], [text.slice(0, 3), text, text]);
    assertEquals([line.isPrintable, line.fault], [false, undefined]);
  }
});

Deno.test("a line finds a verb that stands alone, and one after spaces", () => {
  for (const text of ["QUIT", "QUIT ", "   QUIT", "   QUIT   "]) {
    assertEquals(verbOf(Line.of(text)), "QUIT");
  }
  assertEquals(verbOf(Line.of("  GET a")), "GET");
});

Deno.test("an empty line has an empty verb, and so has one of spaces", () => {
  assertEquals(verbOf(Line.of("")), "");
  assertEquals(verbOf(Line.of("    ")), "");
});

Deno.test("only a space ends a verb, no other white space", () => {
  for (const sign of ["\t", "\u00a0", "\u2028", "\u3000", "\ufeff", "\r", "\v"]) {
    assertEquals(verbOf(Line.of(`GET${sign}a`)), `GET${sign}a`);
    assertEquals(verbOf(Line.of(`${sign} a`)), sign);
  }
});

Deno.test("a line finds its verb wherever its bytes lie", () => {
  const { memory } = asText("PUT first 1\r\n  GET é\r\n\r\nQUIT\n");
  const read = (text: string, start: number) => {
    const end = start + asText(text).length;
    const line = new Line(text, { memory, start, end, isPrintable: false, fault: undefined });
    return [verbOf(line), bytesOf(line)];
  };
  assertEquals(read("PUT first 1", 0), ["PUT", "PUT first 1"]);
  assertEquals(read("  GET é", 13), ["GET", "  GET é"]);
  assertEquals(read("", 23), ["", ""]);
  assertEquals(read("QUIT", 25), ["QUIT", "QUIT"]);
});

function verbOf({ memory, verbStart, verbEnd }: Line): string {
  return String(new Text(memory, verbStart, verbEnd));
}

function bytesOf({ memory, start, end }: Line): string {
  return String(new Text(memory, start, end));
}
