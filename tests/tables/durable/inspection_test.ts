/**
 * What an inspection finds in a log with damage of each sort, and what is saved of it.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { atOnce, salvage } from "../../../tables/durable/copy.ts";
import { DurableTable } from "../../../tables/durable/durable_table.ts";
import { OpenError } from "../../../tables/durable/errors.ts";
import { findChain, readTurns } from "../../../tables/durable/log/chain.ts";
import { TURN_HEADER_BYTES } from "../../../tables/durable/log/format.ts";
import { zeroUnreadable } from "../../../tables/durable/read_only_table.ts";
import { Text } from "../../../tables/text.ts";
import {
  checkTest,
  fill,
  indexedIn,
  inspect,
  inspectLog,
  Log,
  open,
  read,
  replace,
  reseal,
  versionsIn,
} from "../../support/damaged_table.ts";

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
  const [, end] = inspectLog(log, state).damage;
  assertStringIncludes(end!.why, `turn ${state.sequence} was committed`);
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
  assert(gone.mayHaveLostMore, "nothing says where the log ended");
  assertEquals(versionsIn(gone), model);
});

checkTest("an index that is not that of its records is told", (data) => {
  fill(data).close();
  const { log, state } = read(data);
  const segment = indexedIn(log, state);
  const [turn] = [...readTurns(log.file(), segment)].map(({ header }) => header);
  // The record is another one now, and its checksums are right.
  log.bytes[segment.start + turn!.offset + TURN_HEADER_BYTES + 4 + 8]! ^= 1;
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
  assertThrows(() => atOnce(salvage(data, target)), OpenError, "is not empty");
  assertEquals(inspect(target).damage, []);
});
