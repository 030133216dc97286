/**
 * The memory in which a turn is gathered: what it keeps, and for how long.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { TurnBuffer } from "../../tables/turn_buffer.ts";

/** Claims room for these bytes, and writes them there. */
function append(buffer: TurnBuffer, bytes: Uint8Array): void {
  const at = buffer.claim(bytes.length);
  buffer.memory.bytes.set(bytes, at);
}

Deno.test("what is in a buffer stays there while it grows", () => {
  const buffer = new TurnBuffer({ headBytes: 3 });
  const expected = [0, 0, 0];
  for (let i = 0; i < 30; i++) {
    const part = new Uint8Array(10_007).fill(i + 1);
    append(buffer, part);
    expected.push(...part);
  }
  assertEquals(buffer.length, expected.length);
  assertEquals(buffer.memory.bytes.subarray(0, buffer.length), Uint8Array.from(expected));
  assertEquals(buffer.memory.bytes.length % 8, 0);
});

Deno.test("what comes after a truncation takes the place of what was dropped", () => {
  const buffer = new TurnBuffer();
  append(buffer, Uint8Array.of(1, 2, 3, 4));
  buffer.truncate(2);
  append(buffer, Uint8Array.of(5));
  assertEquals(buffer.memory.bytes.subarray(0, buffer.length), Uint8Array.of(1, 2, 5));
});

Deno.test("an emptied buffer begins after its head again, in the same memory", () => {
  const buffer = new TurnBuffer({ headBytes: 8 });
  buffer.claim(700_000);
  const { memory } = buffer;
  buffer.clear();
  assertEquals(buffer.length, 8);
  assertEquals(buffer.claim(100), 8);
  assert(buffer.memory === memory);
});

Deno.test("a buffer keeps the memory of large turns, and gives it back once turns are small", () => {
  const buffer = new TurnBuffer();
  const { length } = buffer.memory.bytes;
  for (let turn = 0; turn < 200; turn++) {
    buffer.claim(5_000_000);
    const { memory } = buffer;
    buffer.clear();
    assert(buffer.memory === memory);
    for (let small = 0; small < 20; small++) buffer.clear();
  }
  for (let small = 0; small < 100; small++) buffer.clear();
  assertEquals(buffer.memory.bytes.length, length);
});
