/**
 * Entries of the log and parts of snapshots are read as they were written, what Keyline has not written is
 * told, and the keys of etcd where they lie are in order and apart.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Change, KIND } from "../../../tables/change.ts";
import {
  changesIn,
  changesOf,
  ChangeWriter,
  emptyEntry,
  headOf,
} from "../../../tables/etcd/entry.ts";
import { isSameKey, KeySpace, type Span } from "../../../tables/etcd/key_space.ts";
import { decodeCurrent, encodeCurrent } from "../../../tables/etcd/snapshot.ts";
import { TableError } from "../../../tables/table.ts";
import { Text } from "../../../tables/text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function put(key: string, value: string, expiresAt = 0): Change {
  const texts = { key: Text.of(key), value: Text.of(value) };
  return { ...texts, kind: KIND.PUT, version: 2 ** 40, expiresAt };
}

const CLEAR = { ...put("", ""), kind: KIND.CLEAR, version: 0 };
const CHANGES = [
  put("a", "1"),
  put("\ufeff\u{1f600}", "é".repeat(600_000), 1_795_708_631_604),
  CLEAR,
  { ...put("gone", ""), kind: KIND.DELETE, version: 0 },
];

function plain(changes: Iterable<Change>) {
  return [...changes].map(({ key, value, ...rest }) => ({
    ...rest,
    key: String(key),
    value: String(value),
  }));
}

Deno.test("an entry is read as it was written", () => {
  const writer = new ChangeWriter();
  for (const change of CHANGES) writer.add(change);
  const entry = writer.entry({ version: 99, time: 1_800_000_000_000.5 });
  assertEquals(entry.length, writer.length);
  assertEquals(headOf(entry), { version: 99, time: 1_800_000_000_000.5 });
  assertEquals(plain(changesOf(entry)), plain(CHANGES));
  assertEquals(plain(changesIn(writer.changes())), plain(CHANGES));
});

Deno.test("a change that is undone is not in the entry", () => {
  const writer = new ChangeWriter();
  writer.add(CHANGES[0]!);
  const { length } = writer;
  for (const change of CHANGES) writer.add(change);
  writer.undo(length);
  assertEquals(plain(changesOf(writer.entry({ version: 1, time: 2 }))), plain([CHANGES[0]!]));
  writer.clear();
  assertEquals(writer.entry({ version: 0, time: 0 }), emptyEntry());
});

Deno.test("an entry that is cut off, or is none, is told", () => {
  const writer = new ChangeWriter();
  writer.add(put("key", "value"));
  const entry = writer.entry({ version: 1, time: 2 });
  const { length } = emptyEntry();
  for (let end = 0; end < entry.length; end++) {
    if (end === length) continue; // An entry without changes.
    const cut = entry.slice(0, end);
    assertThrows(() => (headOf(cut), [...changesOf(cut)]), TableError);
  }
  const other = entry.slice();
  other[length] = 9;
  assertThrows(() => [...changesOf(other)], TableError);
  assertThrows(() => [...changesIn(bytes("x".repeat(100)))], TableError);
});

Deno.test("which snapshot counts is written as text, and anything else is told", () => {
  const position = { start: 2 ** 50, mark: "a-7", end: 2 ** 50 + 300 };
  const current = { generation: "some", chunks: 3, bytes: 4_000, position, version: 2 ** 40 };
  assertEquals(decodeCurrent(encodeCurrent(current)), current);
  const wrong = ["", "1", "{}", "null", '{"generation":"a","chunks":1.5}', "\xff"];
  for (const text of wrong) assertThrows(() => decodeCurrent(bytes(text)), TableError);
});

function isIn({ key, end }: Span, at: Uint8Array): boolean {
  const compare = (a: Uint8Array, b: Uint8Array) =>
    new TextDecoder().decode(a) < new TextDecoder().decode(b);
  return !compare(at, key) && compare(at, end);
}

Deno.test("the keys of a table are in the order of their numbers, and its own", () => {
  const [space, other] = [new KeySpace("a/"), new KeySpace("b/")];
  const ids = [0, 9, 10, 99_999, 2 ** 52].map((start) => ({ start, mark: `z/${start}` }));
  const entries = ids.map((id) => space.entry(id));
  assertEquals(entries.map((entry) => space.entryIdOf(entry)), ids);
  const between = (from: number, to: number) =>
    entries.filter((entry) => isIn(space.entries(from, to), entry)).length;
  assertEquals([between(9, 10), between(9, 11), between(11, 99_999)], [1, 2, 0]);
  const strange = ["9/a", `${"9".repeat(16)}/`, "x".repeat(16), "9".repeat(16)];
  for (const name of strange) {
    assertThrows(() => space.entryIdOf(bytes(`a/log/${name}`)), TableError);
  }
  const texts = entries.map((entry) => new TextDecoder().decode(entry));
  assertEquals(texts.toSorted(), texts);
  assert(isSameKey(entries[1]!, entries[1]!.slice()) && !isSameKey(entries[1]!, entries[2]!));
  const all = [space, other].flatMap((one) => [
    ...[
      one.format,
      one.current,
      one.entry({ start: 5, mark: "m" }),
      one.chunk("x", 5),
      one.chunk("y", 5),
    ],
  ]);
  const spans = [space.all, space.log, space.chunks("x"), ...space.chunksBut("x")];
  assertEquals(spans.map((span) => all.filter((key) => isIn(span, key)).length), [5, 1, 1, 0, 1]);
});
