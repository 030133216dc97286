/**
 * Holds docs/file-format.md to the code: a reader that knows a folder by the tables of that page alone finds in
 * it what was stored.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { atOnce, backUp } from "../../tables/durable/copy.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { xxh32 } from "../../tables/durable/log/checksum.ts";
import { SLOT_BYTES } from "../../tables/durable/log/format.ts";
import { BACKUP_STATE_BYTES } from "../../tables/durable/read_only_table.ts";
import { Memory } from "../../tables/text.ts";
import { ROOT, tempFolder, testWith } from "../support/harness.ts";

/** Where the fields of a structure are, by their names. */
type Layout = ReadonlyMap<string, { readonly offset: number; readonly type: string }>;
/** What the fields of a structure hold. */
type Fields = Readonly<Record<string, number>>;

/** What is stored under a key. */
interface Stored {
  readonly value: string;
  readonly version: number;
  readonly expiry: number;
}

const SIZES: Readonly<Record<string, number>> = { u16: 2, u32: 4, f64: 8 };

testWith(["read", "write"], "a reader made of the page on the file format reads a folder", () => {
  const folder = tempFolder();
  const model = fill(folder);
  const reader = new Reader(read(`${folder}/keyline.log`), read(`${folder}/keyline.state`));
  assertEquals(reader.entries(), model);
  assert(reader.indexed > 0, "there is an index");
  assert(reader.large > 0, "there is a segment of several slots");
  Deno.removeSync(folder, { recursive: true });
});

testWith(["read", "write"], "a backup is a log with its state behind it, as the page says", () => {
  const folder = tempFolder();
  const model = fill(`${folder}/data`);
  atOnce(backUp(`${folder}/data`, `${folder}/copy`));
  const bytes = read(`${folder}/copy`);
  const size = numberIn("a state of ([\\d,]+) bytes");
  assertEquals(size, BACKUP_STATE_BYTES);
  const end = bytes.length - size;
  assertEquals(new Reader(bytes.slice(0, end), bytes.slice(end)).entries(), model);
  Deno.removeSync(folder, { recursive: true });
});

testWith(["read"], "the page has the size of slots, and the structures have no gaps", () => {
  assertEquals(numberIn("slots of ([\\d,]+) bytes"), SLOT_BYTES);
  for (
    const [heading, size] of [
      ["The header of a segment", 40],
      ["The header of a turn", 40],
      ["A record", 28],
      ["An entry of an index", 28],
      ["A copy of the state", 40],
    ] as const
  ) {
    let at = 0;
    for (const { offset, type } of layoutOf(heading).values()) {
      assertEquals(offset, at, heading);
      at += SIZES[type]!;
    }
    assertEquals(at, size, heading);
  }
});

/** A table with indexes, a turn of several slots, and each kind of record; and what it holds then. */
function fill(folder: string): Map<string, Stored> {
  const table = new DurableTable(folder, { cacheBytes: 0, slotBytes: 4_096, now: () => 0 });
  const model = new Map<string, Stored>();
  const put = (key: string, value: string, expiry = 0) => {
    const version = table.put(key, value, { expiresAt: expiry || null });
    model.set(key, { value, version, expiry });
  };
  put("cleared", "x");
  table.commit();
  table.clear();
  model.clear();
  table.commit();
  for (let i = 0; i < 40; i++) {
    put(`key-${i % 30}`, `${i} `.repeat(300), i % 3 === 0 ? 1e12 + i : 0);
    if (i % 4 === 0) table.commit();
  }
  table.delete("key-3");
  model.delete("key-3");
  put("large", "y".repeat(9_000));
  table.commit();
  while (table.maintain());
  put("last", "z");
  table.commit();
  table.close();
  return model;
}

/** Reads a folder by the page alone. */
class Reader {
  readonly #log: Memory;
  readonly #state: Fields;
  readonly #layouts = {
    segment: layoutOf("The header of a segment"),
    turn: layoutOf("The header of a turn"),
    record: layoutOf("A record"),
    entry: layoutOf("An entry of an index"),
  };
  readonly #entries = new Map<string, Stored>();
  indexed = 0;
  large = 0;

  constructor(log: Uint8Array<ArrayBuffer>, state: Uint8Array<ArrayBuffer>) {
    this.#log = new Memory(log);
    const memory = new Memory(state);
    const layout = layoutOf("A copy of the state");
    const copies = [0, numberIn("at 0 and at ([\\d,]+)\\.")].map((at) => {
      const fields = fieldsAt(memory, at, layout);
      assertEquals(fields.magic, 0x314d4c4b);
      assertEquals(fields.checksum, sumOf(memory, at + 8, at + 40, 0));
      return fields;
    });
    this.#state = copies.toSorted((a, b) => b.counter! - a.counter!)[0]!;
  }

  entries(): Map<string, Stored> {
    const slotBytes = this.#state["slot size"]!;
    const headers = new Map<number, { at: number; header: Fields }>();
    for (let at = 0; at + 40 <= this.#log.bytes.length; at += slotBytes) {
      const header = fieldsAt(this.#log, at, this.#layouts.segment);
      const isHeader = header.magic === 0x31534c4b && header.salt === this.#state.salt &&
        header.checksum === sumOf(this.#log, at + 8, at + 40, header.salt!);
      if (isHeader) headers.set(header.number!, { at, header });
    }
    const numbers = [...headers.keys()].toSorted((a, b) => a - b);
    const oldest = headers.get(numbers.at(-1)!)!.header.oldest!;
    let sequence: number | undefined;
    for (let number = oldest; headers.has(number); number++) {
      const segment = headers.get(number)!;
      assertEquals(segment.header.sequence, sequence ?? segment.header.sequence);
      sequence = this.#readSegment(segment, headers.get(number + 1));
    }
    assertEquals(sequence, this.#state.sequence);
    assertEquals(this.#state.closed, 1);
    return this.#entries;
  }

  /** Reads the turns of a segment, whose last one the next segment says, and returns its sequence number. */
  #readSegment(
    { at: start, header }: { at: number; header: Fields },
    next: { at: number; header: Fields } | undefined,
  ): number {
    const seed = header.salt! ^ Math.imul(header.number!, 0x9e3779b1);
    let sequence = header.sequence!;
    const places: number[] = [];
    let at = start + 40;
    while (sequence !== next?.header.sequence && at + 40 <= this.#log.bytes.length) {
      const turn = fieldsAt(this.#log, at, this.#layouts.turn);
      if (next === undefined && turn.magic !== 0x31544c4b) break;
      assertEquals(turn.checksum, sumOf(this.#log, at + 8, at + 40, seed));
      assertEquals(turn.sequence, ++sequence);
      this.#readRecords(at, { turn, seed, start, places });
      at += turn.length!;
    }
    if (header.slots! > 1) this.large++;
    if (next?.header.index) this.#compareIndex(next.at + next.header.index * 8, places);
    return sequence;
  }

  #readRecords(from: number, { turn, seed, start, places }: {
    turn: Fields;
    seed: number;
    start: number;
    places: number[];
  }): void {
    let at = from + 40;
    for (let i = 0; i < turn.count!; i++) {
      const record = fieldsAt(this.#log, at, this.#layouts.record);
      const [kind, isExpiring] = [record.kind! & 0xff, record.kind! >= 256];
      const key = at + (isExpiring ? 28 : 20);
      const value = key + record["key length"]!;
      const end = value + record["value length"]!;
      assertEquals(record.checksum, sumOf(this.#log, at + 4, end, seed));
      const name = this.#text(key, value);
      if (kind === 1) {
        const expiry = isExpiring ? record.expiry! : 0;
        const version = record.version!;
        this.#entries.set(name, { value: this.#text(value, end), version, expiry });
      } else if (kind === 2) this.#entries.delete(name);
      else if (kind === 3) this.#entries.clear();
      places.push(at - start);
      at = Math.ceil(end / 8) * 8;
    }
    assertEquals(at, from + turn.length!);
    assertEquals(turn.records, sumOf(this.#log, from + 40, at, seed));
  }

  #compareIndex(at: number, places: readonly number[]): void {
    this.indexed++;
    const record = fieldsAt(this.#log, at, this.#layouts.record);
    assertEquals([record.kind, record["key length"]], [4, 0]);
    const [from, indexed] = [at + 20, []] as [number, number[]];
    for (let entryAt = from; entryAt < from + record["value length"]!;) {
      const entry = fieldsAt(this.#log, entryAt, this.#layouts.entry);
      indexed.push(entry.place! * 8);
      entryAt += (entry.kind! >= 256 ? 28 : 20) + entry["key length"]!;
    }
    assertEquals(indexed, places);
  }

  #text(from: number, to: number): string {
    return new TextDecoder().decode(this.#log.bytes.subarray(from, to));
  }
}

/** The checksum as the page says it. */
function sumOf(memory: Memory, from: number, to: number, seed: number): number {
  const isLong = to - from >= numberIn("fewer than (\\d+) bytes");
  return isLong
    ? crc32(memory.bytes.subarray(from, to), seed >>> 0)
    : xxh32(memory, from, to, seed);
}

function fieldsAt({ view }: Memory, at: number, layout: Layout): Fields {
  return Object.fromEntries(
    [...layout].map(([name, { offset, type }]) => {
      const start = at + offset;
      if (start + SIZES[type]! > view.byteLength) return [name, NaN];
      if (type === "f64") return [name, view.getFloat64(start, true)];
      return [name, type === "u32" ? view.getUint32(start, true) : view.getUint16(start, true)];
    }),
  );
}

/** The table under a heading of the page. */
function layoutOf(heading: string): Layout {
  const [, section] = page().split(`### ${heading}\n`);
  assert(section !== undefined, heading);
  const rows = [...section.split("\n#")[0]!.matchAll(/^\| +(\d+) \| (\w+) +\| ([\w ]+?) +\|/gm)];
  return new Map(rows.map(([, offset, type, name]) => [
    name!,
    { offset: Number(offset), type: type! },
  ]));
}

/** A number that the page names in these words. */
function numberIn(words: string): number {
  const [, digits] = new RegExp(words).exec(page().replace(/\s+/g, " ")) ?? [];
  assert(digits !== undefined, words);
  return Number(digits.replaceAll(",", ""));
}

function page(): string {
  return text ??= Deno.readTextFileSync(new URL("docs/file-format.md", ROOT));
}
let text: string | undefined;

function read(path: string): Uint8Array<ArrayBuffer> {
  return Deno.readFileSync(path);
}
