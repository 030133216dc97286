/**
 * Text that stays bytes: copied, compared and read wherever it lies.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { asText, compareTexts, copyText, Memory, startsWith, Text } from "../../tables/text.ts";

/** Texts of all lengths of UTF-8, some of which begin alike. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.array(fc.constantFrom("a", "b", "é", "\ue000", "\ufffd", "\ufeff", "🗝", "\u{10ffff}"), {
    maxLength: 6,
  }).map((signs) => signs.join("")),
).filter((text) => text.isWellFormed());

/** The same text, in memory with others around it. */
function amongOthers(text: string, shift = 3): Text {
  const { bytes } = Text.of(text).memory;
  const memory = new Memory(bytes.length + shift + 5);
  memory.bytes.fill(0x7e);
  memory.bytes.set(bytes, shift);
  return new Text(memory, shift, shift + bytes.length);
}

Deno.test("a text is the string that it was made of, wherever it lies", () => {
  fc.assert(fc.property(text, (text) => {
    const bytes = new TextEncoder().encode(text);
    for (const one of [Text.of(text), Text.from(bytes), asText(text), amongOthers(text)]) {
      assertEquals([String(one), one.length], [text, bytes.length]);
      assertEquals(one.toBytes(), bytes);
    }
  }));
  assertEquals(String(Text.of("\ufeffa")), "\ufeffa", "a leading U+FEFF is text");
});

Deno.test("a text that is one already stays what it is", () => {
  const one = Text.of("a");
  assert(asText(one) === one);
});

Deno.test("a copy has the bytes of its text and touches no other, whatever its length and place", () => {
  for (let length = 0; length <= 300; length++) {
    const signs = Array.from({ length }, (_, i) => String.fromCharCode(33 + (i * 7 + length) % 94));
    const source = amongOthers(signs.join(""), length % 11);
    const offset = (length * 5) % 13;
    const to = new Memory(length + offset + 9);
    to.bytes.fill(0x21);
    copyText(source, to, offset);
    assertEquals(String(new Text(to, offset, offset + length)), signs.join(""));
    const others = [...to.bytes.subarray(0, offset), ...to.bytes.subarray(offset + length)];
    assert(others.every((byte) => byte === 0x21), `length ${length}`);
  }
});

Deno.test("a copy keeps every byte that UTF-8 has, in each of eight places", () => {
  const all = Array.from({ length: 0x800 }, (_, code) => String.fromCodePoint(code)).join("") +
    "\u0800\ud7ff\ue000\uffff\u{10000}\u{10ffff}\u{f0000}\x7f";
  for (let shift = 0; shift < 8; shift++) {
    for (const part of (" ".repeat(shift) + all).match(/[^]{1,40}/gu)!) {
      const source = amongOthers(part, shift);
      const to = new Memory(source.length);
      copyText(source, to, 0);
      assertEquals(to.bytes, source.toBytes());
    }
  }
});

Deno.test("a part of a text can be copied to the front of it", () => {
  for (const length of [5, 20, 100, 191, 192, 300]) {
    const signs = Array.from({ length }, (_, i) => String.fromCharCode(33 + i % 94)).join("");
    for (const cut of [1, 3, 8, 9]) {
      const { memory } = Text.of(signs);
      const part = new Text(memory, Math.min(cut, length), length);
      const expected = String(part);
      copyText(part, memory, 0);
      assertEquals(String(new Text(memory, 0, expected.length)), expected);
    }
  }
});

Deno.test("texts compare as their code points do", () => {
  const codePoints = (text: string) => [...text].map((sign) => sign.codePointAt(0)!);
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [x, y] = [codePoints(a), codePoints(b)];
      const i = x.findIndex((point, i) => point !== y[i]);
      const expected = i < 0 ? x.length - y.length : i >= y.length ? 1 : x[i]! - y[i]!;
      const compared = compareTexts(amongOthers(a, 1), amongOthers(b, 6));
      assertEquals(Math.sign(compared), Math.sign(expected));
      assertEquals(compareTexts(amongOthers(a), Text.of(b)) === 0, a === b);
      assertEquals(compareTexts(amongOthers(a), Text.of(a)), 0);
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("a text begins with each of its beginnings, and with nothing else", () => {
  fc.assert(fc.property(text, text, fc.nat(10), (a, b, length) => {
    const prefix = [...a].slice(0, length).join("");
    assert(startsWith(amongOthers(a), amongOthers(prefix, 7)));
    assertEquals(startsWith(amongOthers(a), Text.of(b)), a.startsWith(b));
  }));
  // What lies behind a text is no part of it.
  const { memory } = Text.of("abc");
  assertEquals(startsWith(new Text(memory, 0, 2), Text.of("abc")), false);
});
