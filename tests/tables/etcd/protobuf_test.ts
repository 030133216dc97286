/**
 * The wire format: what is written is read again, and what is cut off or none is told.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { fieldsOf, Writer } from "../../../tables/etcd/protobuf.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

Deno.test("numbers up to 2^53 and bytes of any length are read as they were written", () => {
  const numbers = [0, 1, 127, 128, 300, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
  const lengths = [0, 1, 127, 128, 5_000, 2_000_000];
  const writer = new Writer();
  for (const number of numbers) writer.number(1, number);
  for (const length of lengths) writer.data(64, new Uint8Array(length).fill(7));
  const fields = [...fieldsOf(writer.bytes)];
  assertEquals(fields.slice(0, numbers.length).map(({ value }) => value), numbers);
  assertEquals(fields.slice(numbers.length).map(({ bytes }) => bytes.length), lengths);
  assertEquals(fields.at(-1)!.field, 64);
});

Deno.test("a message in a message is read by itself, however long it is", () => {
  for (const length of [0, 100, 3_000_000]) {
    const writer = new Writer();
    writer.message(2, () => writer.message(3, () => writer.data(1, new Uint8Array(length))));
    writer.number(4, 5);
    const [outer, last] = [...fieldsOf(writer.bytes)];
    const [inner] = [...fieldsOf(outer!.bytes)];
    const [data] = [...fieldsOf(inner!.bytes)];
    assertEquals([outer!.field, inner!.field, data!.bytes.length], [2, 3, length]);
    assertEquals([last!.field, last!.value], [4, 5]);
  }
});

Deno.test("the examples of the format's own documentation are read", () => {
  // https://protobuf.dev/programming-guides/encoding/
  const [number] = [...fieldsOf(bytes(0x08, 0x96, 0x01))];
  assertEquals([number!.field, number!.value], [1, 150]);
  const [text] = [...fieldsOf(bytes(0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67))];
  assertEquals([text!.field, new TextDecoder().decode(text!.bytes)], [2, "testing"]);
});

Deno.test("fields of a fixed size are passed over", () => {
  const fixed = bytes(0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x18, 0x05);
  assertEquals([...fieldsOf(fixed)].map(({ field, value }) => [field, value]), [
    ...[[1, 0], [2, 0], [3, 5]],
  ]);
});

Deno.test("a message that is cut off, or is none, is told", () => {
  const writer = new Writer();
  writer.number(1, 300);
  writer.data(2, new Uint8Array(300));
  const whole = writer.bytes;
  const ends = [...Array(whole.length).keys()].slice(1).filter((end) => end !== 3);
  for (const end of ends) {
    assertThrows(() => [...fieldsOf(whole.slice(0, end))], RangeError, "cut off");
  }
  assertThrows(() => [...fieldsOf(bytes(0x0b))], TypeError, "is none");
});
