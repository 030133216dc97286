/**
 * Checks that replies are the same wherever the packets split them.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../client/errors.ts";
import { ReplyReader } from "../../client/reply_reader.ts";

const utf8 = new TextEncoder();

/** What comes of chunks of bytes. */
function replies(chunks: Uint8Array[], bytesMax = 1_000): unknown[] {
  const found: unknown[] = [];
  const reader = new ReplyReader({
    onOk: (value) => found.push(value),
    onReply: (reply) => found.push(reply),
  }, bytesMax);
  for (const chunk of chunks) {
    const packet = chunk.slice();
    reader.push(packet);
    packet.fill(0); // the memory of a packet may be used again
  }
  return found;
}

const STREAM = utf8.encode(
  "200 OK\r\n200 OK \r\n200 OK  a b\t€𝄞\ufeff\r\n200 OKAY\r\n200-a\r\n200- b\r\n200-\r\n200 OK 3 more\r\n" +
    `404 NOT FOUND\n220 UNSUPPORTED\r\n503\r\n200 OK ${"long ä ".repeat(20)}\r\n`,
);
const EXPECTED = [
  undefined,
  "",
  " a b\t€𝄞\ufeff",
  { code: 200, text: "OKAY", lines: [] },
  { code: 200, text: "OK 3 more", lines: ["a", " b", ""] },
  { code: 404, text: "NOT FOUND", lines: [] },
  { code: 220, text: "UNSUPPORTED", lines: [] },
  { code: 503, text: "", lines: [] },
  "long ä ".repeat(20),
];

Deno.test("replies are read from one packet", () => {
  assertEquals(replies([STREAM]), EXPECTED);
});

Deno.test("replies are the same when split at any byte, and byte by byte", () => {
  for (let at = 0; at <= STREAM.length; at++) {
    assertEquals(replies([STREAM.subarray(0, at), STREAM.subarray(at)]), EXPECTED);
  }
  assertEquals(replies(Array.from(STREAM, (byte) => new Uint8Array([byte]))), EXPECTED);
});

Deno.test("a reply over the limit is refused, whether its line has an end or not", () => {
  const value = "v".repeat(1_001);
  for (const text of [`200 OK ${value}\r\n`, `200 OK ${value}`, `404 ${value}\r\n`]) {
    assertThrows(() => replies([utf8.encode(text)]), ProtocolError);
    assertThrows(
      () => replies([...utf8.encode(text)].map((b) => new Uint8Array([b]))),
      ProtocolError,
    );
  }
  assertThrows(() => replies([utf8.encode("200-key\r\n".repeat(200))]), ProtocolError);
  assertEquals(replies([utf8.encode(`200 OK ${"v".repeat(900)}\r\n`.repeat(5))]).length, 5);
});

Deno.test("what has no code is no reply", () => {
  for (const text of ["\n", "200\t\n", "2000 OK\n", "20\n", "abc d\n", "-ERR\n", " 200 OK\n"]) {
    assertThrows(() => replies([utf8.encode(text)]), ProtocolError);
  }
});

Deno.test("the character that stands for bad bytes is text like any other where it was sent", () => {
  assertEquals(replies([utf8.encode("200 OK \ufffd\r\n")]), ["\ufffd"]);
  assertThrows(
    () => replies([new Uint8Array([...utf8.encode("200 OK "), 0xc3, 10])]),
    ProtocolError,
  );
});

Deno.test("a line that arrives byte by byte takes little more memory than its bytes", () => {
  const bytes = 500_000;
  const found: (string | undefined)[] = [];
  const reader = new ReplyReader({ onOk: (value) => found.push(value), onReply() {} }, 2 * bytes);
  reader.push(utf8.encode("200 OK "));
  const before = Deno.memoryUsage();
  const byte = utf8.encode("v");
  for (let i = 0; i < bytes; i++) reader.push(byte);
  const after = Deno.memoryUsage();
  const held = after.heapUsed + after.external - before.heapUsed - before.external;
  reader.push(utf8.encode("\n200 OK next\n"));
  assertEquals(found, ["v".repeat(bytes), "next"]);
  // A piece for each byte took 200 times as much. What is not collected yet counts too.
  assert(held < 100 * bytes, `${held} bytes held for ${bytes}`);
});
