/**
 * What Keyline relies on from `@std/streams` and `@std/assert`, held against whichever is mapped: the packages
 * of JSR, or the stand-ins of `offline/`.
 *
 * @module
 */

import { assert, assertEquals, AssertionError, assertThrows } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";

Deno.test("TextLineStream splits at LF and drops one CR before it", async () => {
  assertEquals(await linesOf(["a\nb\r\nc\r\r\nd\re\n"]), ["a", "b", "c\r", "d\re"]);
});

Deno.test("TextLineStream keeps empty lines", async () => {
  assertEquals(await linesOf(["\n\r\n\na\n\n"]), ["", "", "", "a", ""]);
});

Deno.test("TextLineStream joins a line that comes in several chunks", async () => {
  assertEquals(await linesOf(["he", "", "l", "lo\r", "\nwor", "ld\n"]), ["hello", "world"]);
});

Deno.test("TextLineStream emits a last line without its LF", async () => {
  assertEquals(await linesOf(["a\nb"]), ["a", "b"]);
});

Deno.test("TextLineStream splits nowhere else, and changes no other character", async () => {
  const line = "\u2028\u0085\v\f\ufeff\ud800 \t";
  assertEquals(await linesOf([`${line}\n`]), [line]);
});

Deno.test("TextLineStream emits as many lines as a chunk of whole lines has LFs", async () => {
  const stream = new TextLineStream();
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  for (let count = 1; count <= 100; count++) {
    writer.write("line\r\n".repeat(count));
    for (let i = 0; i < count; i++) assertEquals((await reader.read()).value, "line");
  }
  writer.close();
  assertEquals((await reader.read()).done, true);
});

Deno.test("the assertions tell equal from different", () => {
  assertEquals({ a: [1, { b: "c" }] }, { a: [1, { b: "c" }] });
  assertThrows(() => assertEquals({ a: 1 }, { a: 2 }), AssertionError);
  assertThrows(() => assertEquals([1], [1, 2]), AssertionError);
  assertThrows(() => assert(false), AssertionError);
  assertThrows(() => assertThrows(() => {}, Error), AssertionError);
});

function linesOf(chunks: string[]): Promise<string[]> {
  return Array.fromAsync(ReadableStream.from(chunks).pipeThrough(new TextLineStream()));
}
