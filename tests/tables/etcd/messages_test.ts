/**
 * etcd's messages as bytes: what is sent is what etcd's own definitions say, and what comes back is read.
 * The bytes here follow from the encoding's rules (https://protobuf.dev/programming-guides/encoding/).
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AUTHENTICATE, COMPACT, TXN } from "../../../tables/etcd/messages.ts";

const text = (value: string) => new TextEncoder().encode(value);
/** A field that has a length: its number, then what it holds. */
const field = (number: number, ...parts: (number | Uint8Array)[]) => {
  const bytes = parts.flatMap((part) => typeof part === "number" ? [part] : [...part]);
  return new Uint8Array([...varint(number << 3 | 2), ...varint(bytes.length), ...bytes]);
};
const number = (field: number, value: number) => new Uint8Array([field << 3, ...varint(value)]);

function varint(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes.push(rest % 0x80 | 0x80);
  return [...bytes, rest];
}

Deno.test("a transaction is sent as etcd defines it", () => {
  const encoded = TXN.encode({
    compare: [
      { key: text("a"), modRevision: 300 },
      { key: text("b"), modRevision: 0 },
      { key: text("c"), isThere: true },
      { key: text("d"), end: text("e"), isThere: false },
      { key: text("f"), value: text("1") },
    ],
    success: [
      { type: "put", key: text("a"), value: text("1") },
      { type: "delete", key: text("c"), end: text("d") },
      { type: "delete", key: text("e") },
    ],
    failure: [
      { type: "get", key: text("a") },
      { type: "get", key: text("a"), end: text("b"), limit: 7, keysOnly: true },
      { type: "get", key: text("a"), end: text("b"), countOnly: true },
    ],
  });
  const expected = [
    field(1, number(2, 2), field(3, text("a")), number(6, 300)),
    field(1, number(2, 2), field(3, text("b")), number(6, 0)),
    field(1, number(1, 1), number(2, 2), field(3, text("c")), number(6, 0)),
    field(1, number(2, 2), field(3, text("d")), number(6, 0), field(64, text("e"))),
    field(1, number(2, 3), field(3, text("f")), field(7, text("1"))),
    field(2, field(2, field(1, text("a")), field(2, text("1")))),
    field(2, field(3, field(1, text("c")), field(2, text("d")))),
    field(2, field(3, field(1, text("e")))),
    field(3, field(1, field(1, text("a")))),
    field(3, field(1, field(1, text("a")), field(2, text("b")), number(3, 7), number(8, 1))),
    field(3, field(1, field(1, text("a")), field(2, text("b")), number(9, 1))),
  ];
  assertEquals([...encoded], expected.flatMap((bytes) => [...bytes]));
});

Deno.test("the largest value that a line holds is sent whole", () => {
  const value = new Uint8Array(1_048_576).fill(7);
  const encoded = TXN.encode({ success: [{ type: "put", key: text("k"), value }] });
  assertEquals(
    encoded.length,
    field(2, field(2, field(1, text("k")), field(2, value))).length,
  );
  assertEquals(new Uint8Array(encoded.slice(-value.length)), value);
});

Deno.test("what a transaction returned is read, and what Keyline doesn't know is passed over", () => {
  const revision = Number.MAX_SAFE_INTEGER;
  const kv = field(
    2,
    field(1, text("k")),
    number(2, 5),
    number(3, revision),
    number(4, 1),
    field(5, text("v")),
  );
  const message = new Uint8Array([
    ...field(1, number(1, 9), number(3, revision), number(4, 2)),
    ...number(2, 1),
    ...field(3, field(1, field(1, number(3, 1)), kv, number(3, 1), number(4, 8))),
    ...field(3, field(2, field(1, number(3, 1)))), // a put
    ...field(3, field(1, field(1, number(3, 1)))), // a get that found nothing
    ...[99 << 3 & 0x7f | 0x80 | 1, 99 << 3 >> 7, 1, 2, 3, 4, 5, 6, 7, 8], // a field of 64 bits
  ]);
  const { succeeded, revision: at, results } = TXN.decode(message);
  assertEquals([succeeded, at, results.length], [true, revision, 3]);
  const [found, put, none] = results;
  assertEquals(found!.count, 8);
  assertEquals(found!.kvs, [{ key: text("k"), value: text("v"), modRevision: revision }]);
  assertEquals([put!.kvs.length, put!.count, none!.kvs.length, none!.count], [0, 0, 0, 0]);
});

Deno.test("what etcd leaves out has its preset", () => {
  const { succeeded, revision, results } = TXN.decode(new Uint8Array(0));
  assertEquals([succeeded, revision, results], [false, 0, []]);
  const only = TXN.decode(field(3, field(1, field(2, field(1, text("k"))))));
  const { key, value, modRevision } = only.results[0]!.kvs[0]!;
  assertEquals([new TextDecoder().decode(key), value, modRevision], ["k", new Uint8Array(0), 0]);
  assert(value instanceof Uint8Array);
});

Deno.test("a message that is cut off, or is none, is told", () => {
  const whole = field(3, field(1, field(2, field(1, text("key")), field(5, text("value")))));
  for (let end = 1; end < whole.length; end++) {
    assertThrows(() => TXN.decode(whole.slice(0, end)), Error);
  }
  assertThrows(() => TXN.decode(new Uint8Array([0x4f])), Error, "wire type");
});

Deno.test("a compaction says up to which revision", () => {
  assertEquals([...COMPACT.encode({ revision: 300 })], [...number(1, 300)]);
});

Deno.test("a name and a password are exchanged for a token", () => {
  const login = { name: "ann", password: "pass wörd" };
  assertEquals(
    [...AUTHENTICATE.encode(login)],
    [...field(1, text("ann")), ...field(2, text("pass wörd"))],
  );
  assertEquals(
    AUTHENTICATE.decode(new Uint8Array([...field(1, number(3, 1)), ...field(2, text("t0ken"))])),
    "t0ken",
  );
});
