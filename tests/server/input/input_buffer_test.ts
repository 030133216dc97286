/**
 * The memory that packets are read into: its size follows theirs, also where they end within a line.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { InputBuffer } from "../../../server/input/input_buffer.ts";

const LINE_BYTES = 84;

/** Reads packets of this size, one after the other; returns how many reads each took. */
function readsOf(
  buffer: InputBuffer,
  { packetBytes, packets }: { packetBytes: number; packets: number },
) {
  const reads: number[] = [];
  let total = buffer.length;
  for (let packet = 0; packet < packets; packet++) {
    let count = 0;
    for (let left = packetBytes; left > 0; count++) {
      const length = Math.min(buffer.room().length, left);
      buffer.add(length);
      total += length;
      left -= length;
      // Whole lines are taken away; what is left is the beginning of the next one.
      buffer.take(buffer.end - total % LINE_BYTES);
      assertEquals(buffer.length, total % LINE_BYTES);
    }
    reads.push(count);
  }
  return reads;
}

Deno.test("packets that end within a line are read at once, after the first of them", () => {
  for (const packetBytes of [1_000, 1_100, 2_000, 5_400, 10_000]) {
    const reads = readsOf(new InputBuffer(), { packetBytes, packets: 40 }).slice(10);
    assert(Math.max(...reads) <= 2, `packets of ${packetBytes} bytes take ${reads} reads`);
    const mean = reads.reduce((sum, count) => sum + count) / reads.length;
    assert(mean < 1.5, `packets of ${packetBytes} bytes take ${mean} reads`);
  }
});

Deno.test("a buffer is small again after a few small packets", () => {
  const buffer = new InputBuffer();
  readsOf(buffer, { packetBytes: 10_000, packets: 10 });
  const { length } = buffer.memory.bytes;
  readsOf(buffer, { packetBytes: 84 - buffer.length, packets: 1 });
  readsOf(buffer, { packetBytes: 168, packets: 10 });
  buffer.room();
  assert(buffer.memory.bytes.length < length / 4, `${buffer.memory.bytes.length} of ${length}`);
});

Deno.test("small packets are read to one and the same array, and what is read elsewhere to another", () => {
  const buffer = new InputBuffer();
  const room = buffer.room();
  const { bytes } = buffer.memory;
  assertEquals([room.byteOffset, room.length], [0, bytes.length - 1]);
  for (let packet = 0; packet < 3; packet++) {
    buffer.add(84);
    buffer.take(84);
    assert(buffer.room() === room, "no array is made for a packet");
  }
  buffer.add(10);
  assertEquals([buffer.room().byteOffset, buffer.room().length], [10, bytes.length - 11]);
  buffer.add(buffer.room().length);
  buffer.take(buffer.end);
  assert(buffer.room().buffer === buffer.memory.bytes.buffer && buffer.room() !== room);
});
