/**
 * Tables on disk to be damaged: a small one with every kind of segment, its log in memory, and what an inspection
 * finds in it.
 *
 * @module
 */

import { assert } from "@std/assert";
import { atOnce } from "../../tables/durable/copy.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { Inspection } from "../../tables/durable/inspection.ts";
import type { PositionedFile } from "../../tables/durable/log/file.ts";
import { sealTurn, turnHeaderAt } from "../../tables/durable/log/format.ts";
import type { Segment } from "../../tables/durable/log/segment.ts";
import { readIndex } from "../../tables/durable/log/segment_index.ts";
import { StateFile, type TableState } from "../../tables/durable/log/state_file.ts";
import { openReadOnly } from "../../tables/durable/read_only_table.ts";
import { Memory, Text } from "../../tables/text.ts";
import { testWithFolder } from "./data_folder.ts";

const SLOT_BYTES = 4_096;

/** Defines a test with the path of a data folder that is not there yet, in a folder of its own. */
export function checkTest(
  name: string,
  fn: (data: string, folder: string) => void | Promise<void>,
): void {
  testWithFolder(name, (folder) => fn(`${folder}/data`, folder));
}

/** Opens a table with small slots. */
export function open(data: string): DurableTable {
  return new DurableTable(data, { cacheBytes: 0, slotBytes: SLOT_BYTES });
}

/** A table with some segments, with and without indexes, of several turns each, and one of two slots. */
export function fill(data: string): DurableTable {
  const table = open(data);
  for (let i = 0; i < 60; i++) {
    const value = i % 20 < 10 ? "small" : "x".repeat(700);
    table.put(`key-${i % 25}`, `${value} ${i}`);
    if (i % 9 === 0) table.delete(`key-${(i + 5) % 25}`);
    if (i % 3 === 0) table.commit();
  }
  table.put("long", "y".repeat(5_000));
  table.commit();
  while (table.maintain());
  table.put("last", "z");
  table.commit();
  return table;
}

/** Inspects a folder or a backup. */
export function inspect(path: string): Inspection {
  using source = openReadOnly(path);
  return atOnce(Inspection.of(source));
}

/** A log in memory. */
export class Log {
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
  }

  file(): PositionedFile {
    const { bytes } = this;
    const read = (into: Uint8Array, offset: number) => {
      const found = bytes.subarray(offset, offset + into.length);
      into.set(found);
      return found.length;
    };
    return {
      path: "keyline.log",
      size: () => bytes.length,
      read,
      readLater: (into, offset) => Promise.resolve(read(into, offset)),
      write: (from, offset) => bytes.set(from, offset),
      truncate() {},
      sync() {},
      close() {},
    };
  }
}

/** The log and the state of a folder, and the versions that its keys have. */
export function read(data: string): { log: Log; state: TableState; model: Map<string, number> } {
  const log = new Log(Deno.readFileSync(`${data}/keyline.log`));
  const { state } = StateFile.read(new Log(Deno.readFileSync(`${data}/keyline.state`)).file())!;
  const table = open(data);
  const { keys } = table.keys({ prefix: "", after: "", limit: 1_000 });
  const model = new Map(keys.map((key) => [key, table.entry(key)!.version]));
  table.close();
  return { log, state, model };
}

/** Inspects a log in memory; `through` may change how it is read. */
export function inspectLog(
  log: Log,
  state: TableState | undefined,
  through = (file: PositionedFile) => file,
): Inspection {
  const file = through(log.file());
  const source = { log: file, state, stateError: undefined, [Symbol.dispose]() {} };
  return atOnce(Inspection.of(source));
}

/** The versions of the keys that were found. */
export function versionsIn({ memtable }: Inspection): Map<string, number> {
  const { records } = memtable;
  const page = memtable.page({ prefix: Text.of(""), after: Text.of("") });
  return new Map([...page].map((ref) => [String(records.key(ref)), records.version(ref)]));
}

/** A segment with an index, of which keys are live. */
export function indexedIn(log: Log, state: TableState): Segment {
  const { memtable, segments } = inspectLog(log, state);
  const found = segments.slice(0, -1).find(({ slot }, i) =>
    readIndex(log.file(), segments[i + 1]!) !== undefined && memtable.liveBytes.in(slot) > 0
  );
  assert(found !== undefined, "there is one");
  return found;
}

/** Gives a turn another sequence number, with checksums that are right. */
export function reseal(
  { bytes }: Log,
  { segment, sequence, to }: { segment: Segment; sequence: number; to: number },
): void {
  const memory = new Memory(bytes.subarray(segment.start, segment.start + segment.size));
  for (let at = 40;;) {
    const turn = turnHeaderAt(memory, at, segment.seed)!;
    at += turn.length;
    if (turn.sequence !== sequence) continue;
    return sealTurn(memory, { ...turn, sequence: to, seed: segment.seed });
  }
}

/** Changes bytes of the log where they are found first. */
export function replace(data: string, from: string, to: string): void {
  const file = `${data}/keyline.log`;
  const bytes = Deno.readFileSync(file);
  bytes.set(new TextEncoder().encode(to), offsetOf(bytes, from));
  Deno.writeFileSync(file, bytes);
}

/** Where a text is in these bytes. */
export function offsetOf(bytes: Uint8Array, text: string): number {
  const wanted = new TextEncoder().encode(text);
  const at = bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
  assert(at >= 0, text);
  return at;
}
