/**
 * `keyline check`: what it says of a table that is whole, of one with damage of each sort, and of one that a
 * server is using; and what it saves of a damaged one.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { atOnce, backUp, salvage } from "../../tables/durable/copy.ts";
import { DurableTable } from "../../tables/durable/durable_table.ts";
import { OpenError } from "../../tables/durable/errors.ts";
import { Inspection } from "../../tables/durable/inspection.ts";
import { findChain, readTurns } from "../../tables/durable/log/chain.ts";
import type { PositionedFile } from "../../tables/durable/log/file.ts";
import { sealTurn, turnHeaderAt } from "../../tables/durable/log/format.ts";
import type { Segment } from "../../tables/durable/log/segment.ts";
import { readIndex } from "../../tables/durable/log/segment_index.ts";
import { StateFile, type TableState } from "../../tables/durable/log/state_file.ts";
import { openSource, zeroUnreadable } from "../../tables/durable/source.ts";
import { Memory, Text } from "../../tables/text.ts";
import { ROOT, ServerProcess, tempFolder, testWith } from "../support/harness.ts";
import { runTool } from "./tool.ts";

const SLOT_BYTES = 4_096;

checkTest("a whole table is counted as the table counts itself", (data) => {
  const table = fill(data);
  const { live_bytes: live } = table.stats();
  const keys = table.count();
  table.close();
  const found = inspect(data);
  assertEquals(found.damage, []);
  assertEquals([found.memtable.size, found.memtable.liveBytes.total], [keys, live]);
  assert(found.indexes > 0 && found.segments.length > 5);
  found.memtable.check();
});

checkTest(
  "a byte that is changed is found, and hardly any older value is taken for the newest",
  (data) => {
    fill(data).close();
    const { log, state, model } = read(data);
    const { segments } = inspectLog(log, state);
    let [found, without, old] = [0, 0, 0];
    for (let at = 0; at < log.bytes.length; at += 7) {
      const changed = new Log(log.bytes.slice());
      changed.bytes[at]! ^= 0x10;
      const inspection = inspectLog(changed, state);
      if (inspection.damage.length > 0) found++;
      else without++;
      const isRead = segments.some(({ start, end }) => at >= start && at < start + end);
      if (inspection.damage.length > 0) assert(isRead, `byte ${at} is in no segment`);
      for (const [key, version] of model) {
        const ref = inspection.memtable.find(Text.of(key));
        const seen = ref === 0 ? undefined : inspection.memtable.records.version(ref);
        if (seen === version) continue;
        assert(inspection.damage.length > 0, `${key} is wrong without a word, by byte ${at}`);
        if (seen !== undefined) old++;
      }
    }
    assert(found > 500 && without > 100, `${found} found, ${without} not`);
    // Where neither an index nor the record itself tells its key, the value before it is taken.
    assert(old < found / 10, `${old} of ${found} kept an older value`);
  },
);

checkTest("a segment whose header is gone is read all the same", (data) => {
  fill(data).close();
  const { log, state, model } = read(data);
  for (const { start, number } of findChain(log.file(), state).segments) {
    const changed = new Log(log.bytes.slice());
    changed.bytes.fill(0, start, start + 40);
    const inspection = inspectLog(changed, state);
    assertEquals(inspection.damage, [
      { offset: start, why: `the header of segment ${number} can't be read` },
    ]);
    assertEquals(versionsIn(inspection), model);
  }
});

checkTest("the first segment's header and the state may be gone at once", (data) => {
  fill(data).close();
  const { log, state, model } = read(data);
  assert(
    findChain(new Log(log.bytes.slice()).file(), state).segments.some(({ slot }) => slot === 0),
  );
  log.bytes.fill(0, 0, 40);
  assertEquals(versionsIn(inspectLog(log, undefined)), model);
});

checkTest("what the disk can't read is damage, and the rest is read", (data) => {
  fill(data).close();
  const { log, state, model } = read(data);
  const { segments, memtable } = inspectLog(log, state);
  const bad = segments.find(({ slot, slots }) => slots === 1 && memtable.liveBytes.in(slot) > 0)!;
  const inspection = inspectLog(log, state, (file) =>
    zeroUnreadable({
      ...file,
      read(bytes, offset) {
        const isBad = offset < bad.start + bad.size && offset + bytes.length > bad.start;
        if (isBad) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
        return file.read(bytes, offset);
      },
    }));
  assert(inspection.damage.length > 0);
  const readable = versionsIn(inspection);
  for (const { number } of segments) {
    const isThere = inspection.segments.some((segment) => segment.number === number);
    assertEquals(isThere, number !== bad.number, `segment ${number}`);
  }
  assert(readable.size > model.size / 2);
});

checkTest("a segment that is gone is named, and so are the turns that were in it", (data) => {
  fill(data).close();
  const { log, state } = read(data);
  const { segments } = findChain(log.file(), state);
  const { number, start, size } = segments[2]!;
  log.bytes.fill(0, start, start + size);
  const { damage } = inspectLog(log, state);
  assertEquals(damage, [{ offset: undefined, why: `segment ${number} is missing` }]);
  const last = segments.at(-1)!;
  log.bytes.fill(0, last.start, last.start + last.size);
  const withoutState = inspectLog(log, undefined);
  assertEquals(withoutState.damage.map(({ why }) => why), [
    `segment ${number} is missing`,
    `segment ${last.number} is missing`,
  ]);
});

checkTest("a log that has lost its end is told by its state", (data) => {
  fill(data).close();
  const { log, state, model } = read(data);
  const chain = findChain(log.file(), state);
  const { segment, header } = chain.last!;
  const end = segment.start + header.offset;
  log.bytes.fill(0, end, end + header.length);
  const { damage, memtable } = inspectLog(log, state);
  assertEquals(damage.map(({ offset }) => offset), [end]);
  assertStringIncludes(damage[0]!.why, `turn ${state.sequence} was committed`);
  assertEquals(memtable.size, model.size - 1, "all but the last turn");
});

checkTest("turns that are missing between others are told", (data) => {
  fill(data).close();
  const { log, state } = read(data);
  const { segment, header } = findChain(log.file(), state).last!;
  reseal(log, { segment, sequence: header.sequence, to: header.sequence + 2 });
  const { damage } = inspectLog(log, { ...state, sequence: header.sequence + 2 });
  const why = `turns ${header.sequence} to ${header.sequence + 1} are missing`;
  assert(damage.some((each) => each.why === why), JSON.stringify(damage));
});

checkTest("a state that is older than the log is told, and so is one that is gone", (data) => {
  fill(data).close();
  const { log, state, model } = read(data);
  const { sequence } = state;
  const older = inspectLog(log, { ...state, sequence: sequence - 1 });
  assertMatch(older.damage[0]!.why, /^the state is older than the log: /);
  assertEquals(inspectLog(log, { ...state, sequence: sequence - 1, isClosed: false }).damage, []);
  Deno.removeSync(`${data}/keyline.state`);
  const gone = inspect(data);
  assertEquals(gone.damage.length, 1);
  assertStringIncludes(gone.damage[0]!.why, "keyline.state: it is missing");
  assertEquals(versionsIn(gone), model);
});

checkTest("an index that is not that of its records is told", (data) => {
  fill(data).close();
  const { log, state } = read(data);
  const segment = indexedIn(log, state);
  const [turn] = readTurns(log.file(), segment).turns;
  // The record is another one now, and its checksums are right.
  log.bytes[segment.start + turn!.offset + 48 + 4 + 8]! ^= 1;
  reseal(log, { segment, sequence: turn!.sequence, to: turn!.sequence });
  assertEquals(inspectLog(log, state).damage, [{
    offset: segment.start,
    why: `the index of segment ${segment.number} is not that of its records`,
  }]);
});

checkTest("an index says which keys are lost where nothing else does", (data) => {
  fill(data).close();
  const { log, state, model } = read(data);
  const segment = indexedIn(log, state);
  log.bytes.fill(0xff, segment.start, segment.start + segment.end);
  const { lost, memtable, damage } = inspectLog(log, state);
  assert(damage.length > 0 && lost.size > 0);
  for (const key of model.keys()) {
    assertEquals(memtable.find(Text.of(key)) === 0, lost.has(key), key);
  }
});

checkTest("without an index, a damaged record says itself whose it is", (data) => {
  const table = new DurableTable(data, { cacheBytes: 0 });
  table.put("a", "old");
  table.commit();
  table.put("a", "new value");
  table.put("b", "other");
  table.commit();
  table.close();
  replace(data, "new value", "nEw value");
  const { damage, lost, memtable } = inspect(data);
  assertEquals([...lost.keys()], ["a"]);
  assertEquals(memtable.find(Text.of("a")), 0, "the old value is not taken for the newest");
  assert(memtable.find(Text.of("b")) !== 0);
  assertMatch(damage[0]!.why, /^a record can't be read \(32 bytes of segment 1, of a\)$/);
});

checkTest("what is whole is copied to a new folder, on which a table opens", (data, folder) => {
  fill(data).close();
  const { model } = read(data);
  const file = `${data}/keyline.log`;
  const bytes = Deno.readFileSync(file);
  const { start } = findChain(new Log(bytes).file()).segments[2]!;
  bytes.fill(0, start, start + 40);
  Deno.writeFileSync(file, bytes);
  replace(data, "yyyyyyyy", "yyyyYyyy");
  Deno.removeSync(`${data}/keyline.state`);
  assertThrows(() => open(data), OpenError);
  const target = `${folder}/new`;
  const { keys, found } = atOnce(salvage(data, target));
  const table = open(target);
  assertEquals(table.count(), keys);
  assertEquals([keys, [...found.lost.keys()]], [model.size - 1, ["long"]]);
  for (const [key, version] of model) {
    assertEquals(table.entry(key)?.version, key === "long" ? undefined : version, key);
  }
  const next = table.put("next", "x");
  assert(next > Math.max(...model.values()) + 2 ** 32, "no version of what is lost is given again");
  table.undo(0);
  table.close();
  assert(found.damage.length > 0);
  assertThrows(() => atOnce(salvage(data, target)), OpenError, "it is not empty");
  assertEquals(inspect(target).damage, []);
});

checkTest("the program prints what it found, and its exit code tells", async (data, folder) => {
  fill(data).close();
  const whole = await runTool("check:table", { args: [data] });
  assertEquals([whole.code, whole.stderr], [0, `${data} is whole\n`]);
  assertMatch(
    whole.stdout,
    /^keys \d+\nsegments \d+\nindexes \d+\nlive_bytes \d+\ndead_bytes \d+\nlast_turn \d+\ndamaged_places 0\nlost_keys 0\n$/,
  );
  atOnce(backUp(data, `${folder}/copy`));
  assertEquals((await runTool("check:table", { args: [`${folder}/copy`] })).code, 0);
  const { segments } = inspect(data);
  const { start } = segments.at(-1)!;
  const file = `${data}/keyline.log`;
  const bytes = Deno.readFileSync(file);
  bytes[start + 40 + 48 + 40]! ^= 1;
  Deno.writeFileSync(file, bytes);
  const damaged = await runTool("check:table", { args: [data, "--quiet"] });
  const page = Deno.readTextFileSync(new URL("docs/tools.md", ROOT));
  const [, shown] = /\$ deno task -q check:table data\n(.*?)```/s.exec(page)!;
  const withoutFigures = (text: string) => text.replaceAll(data, "data").replace(/\d+/g, "0");
  assertEquals(withoutFigures(damaged.stdout), withoutFigures(shown!), "the page shows the same");
  assertEquals(damaged.code, 1);
  assertMatch(damaged.stdout, /\ndamaged_places 1\nlost_keys 1\n/);
  assertMatch(
    damaged.stdout,
    new RegExp(`\ndamage: ${file}: at byte ${start + 88}, a record can't be read`),
  );
  assertMatch(damaged.stdout, new RegExp(`\nlost: \\S+, at byte ${start + 88}\n$`));
  assertStringIncludes(damaged.stderr, "--salvage NEWFOLDER");
  const target = `${folder}/new`;
  const saved = await runTool("check:table", { args: [data, "--salvage", target, "--quiet"] });
  assertEquals([saved.code, saved.stdout], [1, damaged.stdout]);
  assertMatch(saved.stderr, /^Copied \d+ keys from /);
  assertEquals((await runTool("check:table", { args: [target] })).code, 0);
});

checkTest("a key can't act on the terminal", async (data) => {
  const table = new DurableTable(data, { cacheBytes: 0 });
  table.put("\u009b31mred\u202e", "secret value");
  table.commit();
  table.close();
  replace(data, "secret value", "secrEt value");
  const { stdout } = await runTool("check:table", { args: [data] });
  assertStringIncludes(stdout, "lost: \\u009b31mred\\u202e, at byte");
  assert(!stdout.includes("\u009b") && !stdout.includes("\u202e"));
});

checkTest("what is no table is refused", async (data) => {
  for (const [path, message] of [[data, "keyline.log"], [`${data}/diary`, "no segment"]] as const) {
    Deno.mkdirSync(data, { recursive: true });
    Deno.writeTextFileSync(`${data}/diary`, "Dear diary,\n".repeat(1_000));
    const { code, stdout, stderr } = await runTool("check:table", { args: [path] });
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, new RegExp(`^keyline check: Cannot (open|read) ${data}.*${message}.*\n$`));
  }
});

checkTest("a table is whole while a server writes to it", async (data) => {
  await using server = await ServerProcess.start({ data });
  using client = await server.connect();
  let isDone = false;
  const writing = (async () => {
    for (let i = 0; !isDone; i++) {
      assertEquals(await client.ask(`PUT key-${i % 50} ${"x".repeat(1 + i % 20_000)}`), "200 OK");
    }
  })();
  for (let i = 0; i < 10; i++) {
    const { code, stdout, stderr } = await runTool("check:table", { args: [data] });
    assertEquals(code, 0, stdout + stderr);
  }
  isDone = true;
  await writing;
  assertEquals((await server.stop()).code, 0);
});

/** Defines a test with the path of a data folder that is not there yet, in a folder of its own. */
function checkTest(name: string, fn: (data: string, folder: string) => void | Promise<void>): void {
  testWith(["net", "read", "write", "run", "env"], name, async () => {
    const folder = tempFolder();
    try {
      await fn(`${folder}/data`, folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

function open(data: string): DurableTable {
  return new DurableTable(data, { cacheBytes: 0, slotBytes: SLOT_BYTES });
}

/** A table with some segments, with and without indexes, of several turns each, and one of two slots. */
function fill(data: string): DurableTable {
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

function inspect(path: string): Inspection {
  using source = openSource(path);
  return atOnce(Inspection.of(source));
}

/** A log in memory. */
class Log {
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
function read(data: string): { log: Log; state: TableState; model: Map<string, number> } {
  const log = new Log(Deno.readFileSync(`${data}/keyline.log`));
  const { state } = StateFile.read(new Log(Deno.readFileSync(`${data}/keyline.state`)).file())!;
  const table = open(data);
  const { keys } = table.keys({ prefix: "", after: "", limit: 1_000 });
  const model = new Map(keys.map((key) => [key, table.entry(key)!.version]));
  table.close();
  return { log, state, model };
}

function inspectLog(
  log: Log,
  state: TableState | undefined,
  through = (file: PositionedFile) => file,
): Inspection {
  const file = through(log.file());
  const source = { log: file, state, stateError: undefined, [Symbol.dispose]() {} };
  return atOnce(Inspection.of(source));
}

function versionsIn({ memtable }: Inspection): Map<string, number> {
  const { records } = memtable;
  const page = memtable.page({ prefix: Text.of(""), after: Text.of("") });
  return new Map([...page].map((ref) => [String(records.key(ref)), records.version(ref)]));
}

/** A segment with an index, of which keys are live. */
function indexedIn(log: Log, state: TableState): Segment {
  const { memtable, segments } = inspectLog(log, state);
  const found = segments.find((segment) =>
    readIndex(log.file(), segment) !== undefined && memtable.liveBytes.in(segment.slot) > 0
  );
  assert(found !== undefined, "there is one");
  return found;
}

/** Gives a turn another sequence number, with checksums that are right. */
function reseal(
  { bytes }: Log,
  { segment, sequence, to }: { segment: Segment; sequence: number; to: number },
): void {
  const memory = new Memory(bytes.subarray(segment.start, segment.start + segment.size));
  for (let at = 40;;) {
    const turn = turnHeaderAt(memory, at, segment.seed)!;
    at += turn.length;
    if (turn.sequence !== sequence) continue;
    const one = new Memory(memory.bytes.subarray(turn.offset, turn.offset + turn.length));
    return sealTurn(one, { ...turn, sequence: to, seed: segment.seed });
  }
}

/** Changes bytes of the log where they are found first. */
function replace(data: string, from: string, to: string): void {
  const file = `${data}/keyline.log`;
  const bytes = Deno.readFileSync(file);
  const encoder = new TextEncoder();
  const wanted = encoder.encode(from);
  const at = bytes.findIndex((_, i) => wanted.every((byte, j) => bytes[i + j] === byte));
  assert(at >= 0);
  bytes.set(encoder.encode(to), at);
  Deno.writeFileSync(file, bytes);
}
