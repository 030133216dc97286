/**
 * The bytes of the log: what is written is read, and what is not whole is not taken for it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Change, KIND, readChange } from "../../../tables/change.ts";
import {
  aligned,
  changeIn,
  decodeSegmentHeader,
  isWholeRecord,
  isWholeTurn,
  recordBytes,
  recordBytesAt,
  sealTurn,
  seedOf,
  SEGMENT_HEADER_BYTES,
  sizeOfRecord,
  TURN_HEADER_BYTES,
  turnHeaderAt,
  writeRecord,
  writeSegmentHeader,
} from "../../../tables/durable/log/format.ts";
import { Memory, Text } from "../../../tables/text.ts";

const HEADER = {
  salt: 0xfedcba98,
  number: 7,
  slots: 3,
  slotBytes: 4_096,
  sequence: 2 ** 40,
  oldest: 5,
  index: 2 ** 34,
};
const CHANGES: Change[] = [
  change(KIND.PUT, "a", "value", { version: 2 ** 47 - 1 }),
  change(KIND.PUT, "k".repeat(1_024), "x".repeat(1_000), { version: 3, expiresAt: 2 ** 42 + 0.5 }),
  change(KIND.DELETE, "caf\u00e9 \u{1f600}", ""),
  change(KIND.CLEAR, "", ""),
  change(KIND.PUT, "b", "y".repeat(321), { version: 4 }),
];

function change(kind: number, key: string, value: string, more = {}): Change {
  return { kind, key: Text.of(key), value: Text.of(value), version: 0, expiresAt: 0, ...more };
}

/** A turn of all changes, with what was in its memory before. */
function turnIn(memory: Memory): number {
  let at = TURN_HEADER_BYTES;
  for (const each of CHANGES) {
    writeRecord(each, memory, at);
    at += sizeOfRecord(each);
  }
  const turn = { offset: 0, length: at, sequence: 2 ** 45, version: 9, oldest: 2 };
  sealTurn(memory, { ...turn, seed: seedOf(HEADER) });
  return at;
}

Deno.test("the header of a segment is read as it was written, and not with any bit changed", () => {
  const memory = new Memory(SEGMENT_HEADER_BYTES);
  memory.bytes.fill(0xff);
  writeSegmentHeader(HEADER, memory);
  assertEquals(decodeSegmentHeader(memory), HEADER);
  for (let bit = 0; bit < 8 * memory.bytes.length; bit++) {
    memory.bytes[bit >> 3]! ^= 1 << (bit & 7);
    assertEquals(decodeSegmentHeader(memory), undefined, `bit ${bit}`);
    memory.bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
  assertEquals(decodeSegmentHeader(new Memory(memory.bytes.slice(0, 39))), undefined);
});

Deno.test("a turn is read as it was written, whatever was in its memory before", () => {
  for (const filling of [0, 0xff, 0x55]) {
    const memory = new Memory(4_096);
    memory.bytes.fill(filling);
    const length = turnIn(memory);
    const seed = seedOf(HEADER);
    const turn = turnHeaderAt(memory, 0, seed)!;
    const { count, sequence, version, oldest, offset } = turn;
    assertEquals(turn.length, length);
    assertEquals([count, sequence, version, oldest, offset], [CHANGES.length, 2 ** 45, 9, 2, 0]);
    assert(isWholeTurn(memory, turn, seed));
    let at = TURN_HEADER_BYTES;
    for (const { kind, key, value, version, expiresAt } of CHANGES) {
      const size = recordBytesAt(memory, at, length)!;
      assertEquals(size, recordBytes(key.length, value.length, expiresAt));
      assert(isWholeRecord(memory, at, seed));
      const read = readChange(memory, changeIn(at));
      assertEquals([String(read.key), String(read.value)], [String(key), String(value)]);
      assertEquals([read.kind, read.version, read.expiresAt], [kind, version, expiresAt]);
      at += size;
    }
    assertEquals(at, length);
  }
});

Deno.test("no bit of a turn changes unnoticed, and under another seed it is none", () => {
  const memory = new Memory(4_096);
  const length = turnIn(memory);
  const seed = seedOf(HEADER);
  for (let at = 0; at < length; at++) {
    memory.bytes[at]! ^= 1 << (at % 8);
    const turn = turnHeaderAt(memory, 0, seed);
    assert(turn === undefined || !isWholeTurn(memory, turn, seed), `byte ${at}`);
    memory.bytes[at]! ^= 1 << (at % 8);
  }
  for (const other of [{ ...HEADER, number: 8 }, { ...HEADER, salt: 1 }]) {
    assertEquals(turnHeaderAt(memory, 0, seedOf(other)), undefined);
  }
});

Deno.test("a turn that is cut off at any byte is torn", () => {
  const memory = new Memory(4_096);
  const length = turnIn(memory);
  const seed = seedOf(HEADER);
  const turn = turnHeaderAt(memory, 0, seed)!;
  for (let end = TURN_HEADER_BYTES; end < length; end += 8) {
    assert(!isWholeTurn(new Memory(memory.bytes.slice(0, end)), turn, seed));
    const torn = new Memory(memory.bytes.slice(0, length));
    torn.bytes.fill(0, end);
    // What was zeros is whole without it.
    const isZeros = memory.bytes.subarray(end, length).every((byte) => byte === 0);
    assertEquals(isWholeTurn(torn, turn, seed), isZeros);
  }
});

Deno.test("a record says its own size, and none that does not end in time", () => {
  const memory = new Memory(64);
  writeRecord(change(KIND.PUT, "key", "value"), memory, 0);
  assertEquals(recordBytesAt(memory, 0, 64), 32);
  assertEquals(recordBytesAt(memory, 0, 32), 32);
  assertEquals(recordBytesAt(memory, 0, 31), undefined);
  assertEquals(recordBytesAt(memory, 0, 10), undefined);
  memory.view.setUint32(changeIn(0) + 4, 0xffffffff, true);
  assertEquals(recordBytesAt(memory, 0, 64), undefined);
});

Deno.test("offsets are aligned to eight bytes, also beyond 2 GiB", () => {
  assertEquals([0, 1, 8, 9].map(aligned), [0, 8, 8, 16]);
  assertEquals(aligned(2 ** 33 + 1), 2 ** 33 + 8);
});
