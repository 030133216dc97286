/**
 * The log of the durable table by itself, on a disk in memory: what a start replays, what it takes for the
 * torn end of a crash, and what for damage.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { KIND } from "../../../tables/durable/change.ts";
import { DiskFullError, OpenError } from "../../../tables/durable/errors.ts";
import type { Log } from "../../../tables/durable/log.ts";
import { TableError } from "../../../tables/table.ts";
import { Text } from "../../../tables/text.ts";
import { FakeFile, type Files, logOn } from "./fake_disk.ts";

/** Where a log is to go on, as its rows would say. */
type Start = Parameters<typeof logOn>[1];

/** An empty disk. */
function newFiles(): Files {
  return [new FakeFile(), new FakeFile()];
}

/** A copy of a disk as it is now. */
function copyOf(files: Files): Files {
  return [new FakeFile(files[0].bytes), new FakeFile(files[1].bytes)];
}

/** Starts a log; returns it with what it has replayed, a key for each change, and a * for a CLEAR. */
function start(files: Files, options: Start = {}): { log: Log; replayed: string[] } {
  const log = logOn(files, options);
  const replayed = [...log.replay()].map(({ kind, key, value }) =>
    kind === KIND.CLEAR ? "*" : kind === KIND.DELETE ? `-${key}` : `${key}=${value}`
  );
  log.prepare();
  return { log, replayed };
}

/** Commits a turn that puts these keys, each with a value of so many bytes. */
function commit(log: Log, keys: string[], valueBytes = 3): void {
  for (const key of keys) log.add(putOf(key, "v".repeat(valueBytes)));
  log.commit();
}

function putOf(key: string, value: string) {
  const fields = { kind: KIND.PUT, isInRows: false, version: 1, expiresAt: 0 };
  return { ...fields, key: Text.of(key), value: Text.of(value) };
}

/** Takes the sealed segment as flushed, and returns what its rows would say then. */
function release(log: Log): { flushed: number; turn: number } {
  const state = { flushed: log.sealed()!.lastChange, turn: log.turn };
  log.releaseSealed();
  return state;
}

/** Commits turns until the other segment takes them. */
function fillSegment(log: Log): void {
  const { active } = log;
  while (log.active === active) commit(log, ["filler"], 400);
}

/** The places where records begin in a file, and the end of the last one. */
function recordsIn({ bytes }: FakeFile): number[] {
  const view = new DataView(bytes.buffer);
  const places = [0];
  for (let at = 0; at < bytes.length && view.getUint32(at, true) !== 0;) {
    at += view.getUint32(at + 4, true);
    places.push(at);
  }
  return places;
}

Deno.test("a start replays what was committed, in its order", () => {
  const files = newFiles();
  const { log } = start(files);
  commit(log, ["a", "b"]);
  log.add({ ...putOf("a", ""), kind: KIND.DELETE });
  log.add({ ...putOf("", ""), kind: KIND.CLEAR });
  log.commit();
  log.add(putOf("never", "committed"));
  const again = start(files);
  assertEquals(again.replayed, ["a=vvv", "b=vvv", "-a", "*"]);
  assertEquals([again.log.turn, again.log.lastChange], [2, 4]);
  commit(again.log, ["c"]);
  assertEquals(start(files, { flushed: 2, turn: 1 }).replayed, ["-a", "*", "c=vvv"]);
});

Deno.test("a change comes back with all that it had", () => {
  const files = newFiles();
  const change = {
    kind: KIND.PUT,
    isInRows: true,
    key: Text.of("k\u00e9y"),
    value: Text.of("\u{1f600} ".repeat(100)),
    version: 2 ** 40 + 1,
    expiresAt: 1_700_000_000_123,
  };
  const { log } = start(files);
  log.add(change);
  log.commit();
  const [found] = logOn(files).replay();
  assertEquals(
    { ...found!, key: String(found!.key), value: String(found!.value) },
    {
      ...change,
      key: String(change.key),
      value: String(change.value),
      number: 1,
      parity: 0,
      turn: 1,
    },
  );
});

Deno.test("a last record torn at any byte is passed over, and the log goes on before it", () => {
  const files = newFiles();
  const { log } = start(files);
  for (const keys of [["a"], ["b", "c"], ["d", "e"]]) commit(log, keys);
  const [, , begin, end] = recordsIn(files[0]) as [number, number, number, number];
  for (let cut = begin; cut < end; cut++) {
    for (const rest of [0, 0x55]) {
      const torn = copyOf(files);
      torn[0].bytes.fill(rest, cut, end);
      if (torn[0].bytes.every((byte, i) => byte === files[0].bytes[i])) continue; // Only padding.
      const { log, replayed } = start(torn);
      assertEquals(replayed, ["a=vvv", "b=vvv", "c=vvv"], `cut at ${cut}`);
      commit(log, ["f"]);
      assertEquals(start(torn).replayed.at(-1), "f=vvv");
    }
  }
});

Deno.test("a bit flipped before the last record stops the start, which names file and byte", () => {
  const files = newFiles();
  const { log } = start(files);
  for (const key of ["a", "b", "c"]) commit(log, [key]);
  const places = recordsIn(files[0]);
  for (let record = 0; record < 2; record++) {
    for (let at = places[record]!; at < places[record + 1]!; at++) {
      const damaged = copyOf(files);
      damaged[0].bytes[at]! ^= 1 << (at % 8);
      const before = damaged[0].bytes.slice();
      const error = assertThrows(() => start(damaged), OpenError);
      assert(
        error.message.includes(`log.0: it is damaged at byte ${places[record]}:`),
        error.message,
      );
      assertEquals(damaged[0].bytes, before, "it was written to");
    }
  }
});

Deno.test("a damaged end of a segment is no torn end where the other one goes on", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  commit(log, ["in the other"]);
  const [last, end] = recordsIn(files[0]).slice(-2) as [number, number];
  for (const at of [last, last + 20, end - 9]) {
    const damaged = copyOf(files);
    damaged[0].bytes[at]! ^= 1;
    const error = assertThrows(() => start(damaged), OpenError);
    assert(error.message.includes(`log.0: it is damaged at byte ${last}:`), error.message);
  }
  const emptied = copyOf(files);
  emptied[0].bytes.fill(0);
  assertThrows(() => start(emptied), OpenError, "log.0: it is damaged at byte 0:");
});

Deno.test("damage in what the rows hold already stops no start", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  const state = { flushed: log.lastChange, turn: log.turn };
  commit(log, ["in the other"]);
  files[0].bytes[recordsIn(files[0]).at(-2)! + 20]! ^= 1;
  assertEquals(start(files, state).replayed, ["in the other=vvv"]);
});

Deno.test("a start whose rows lack changes that the log has lost is stopped", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  release(log);
  fillSegment(log);
  release(log);
  commit(log, ["a"]);
  assertThrows(() => start(files, { flushed: 1, turn: 1 }), OpenError, "are missing");
  assertThrows(() => start(files), OpenError, "are missing");
});

Deno.test("what an earlier use of a segment has left is passed over", () => {
  const files = newFiles();
  let { log } = start(files);
  let state = { flushed: 0, turn: 0 };
  for (let use = 0; use < 6; use++) {
    fillSegment(log);
    state = release(log);
    // Records of the same size as those that lie there, so that one old record follows a new one.
    commit(log, ["filler"], 400);
    const again = start(copyOf(files), state);
    assertEquals(again.replayed.length, 1);
    commit(log, [`key-${use}`]);
    const { log: next, replayed } = start(files, state);
    assertEquals(replayed.at(-1), `key-${use}=vvv`);
    assertEquals(replayed.length, 2);
    log = next;
  }
});

Deno.test("a segment goes on past its size while the other one waits, and is cut when used again", () => {
  const files = newFiles();
  const { log } = start(files, { roomBytes: 4_096 });
  fillSegment(log);
  for (let i = 0; i < 30; i++) commit(log, [`key-${i}`], 400);
  assertEquals(log.active, 1);
  assert(files[1].bytes.length > 2 * 4_096);
  assertEquals(start(copyOf(files)).replayed.filter((key) => key.startsWith("key")).length, 30);
  release(log);
  assertEquals(log.active, 0);
  commit(log, ["a"]);
  fillSegmentAfterRelease(log);
  assertEquals(files[1].bytes.length, 4_096);
});

/** Brings the log back to segment 1. */
function fillSegmentAfterRelease(log: Log): void {
  release(log);
  if (log.active === 0) fillSegment(log);
}

Deno.test("a turn larger than a segment comes back, replayed and read back", () => {
  const files = newFiles();
  const { log } = start(files);
  const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`);
  commit(log, keys, 1_000);
  assertEquals(start(copyOf(files)).replayed.map((put) => put.split("=")[0]), keys);
  assertEquals(log.sealed()?.lastChange, 50);
  for (const [i, key] of keys.entries()) {
    const change = log.nextSealed(0)!;
    assertEquals([change.number, String(change.key)], [i + 1, key]);
  }
  assertEquals(log.nextSealed(0), undefined);
});

Deno.test("the sealed segment is read back from any change on", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  const { lastChange } = log.sealed()!;
  for (let flushed = 0; flushed <= lastChange; flushed++) {
    log.rewindSealed();
    for (let number = flushed + 1; number <= lastChange; number++) {
      assertEquals(log.nextSealed(flushed)?.number, number);
    }
    assertEquals(log.nextSealed(flushed), undefined);
  }
});

Deno.test("a sealed segment that does not give back what was written to it is an error", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  files[0].bytes[100]! ^= 1;
  const error = assertThrows(() => log.nextSealed(0), TableError);
  assert(error.fatal);
});

Deno.test("records of another table count for nothing", () => {
  const files = newFiles();
  const { log } = start(files, { salt: 1 });
  commit(log, ["a"]);
  const other = start(files, { salt: 2 });
  assertEquals(other.replayed, []);
  commit(other.log, ["b"]);
  assertEquals(start(files, { salt: 2 }).replayed, ["b=vvv"]);
});

Deno.test("a value that looks like a record is none", () => {
  const files = newFiles();
  const { log } = start(files);
  commit(log, ["a"], 1_000);
  // A record of a later turn, byte for byte, where a search for one comes by.
  const forged = newFiles();
  const { log: forger } = start(forged, { flushed: 100, turn: 100, salt: 99 });
  commit(forger, ["forged"]);
  files[0].bytes.set(forged[0].bytes.subarray(0, recordsIn(forged[0])[1]), 1_200);
  assertEquals(start(files).replayed.length, 1);
});

Deno.test("writes that take only a part are gone on with", () => {
  const files = newFiles();
  const { log } = start(files);
  files[0].writeBytesMax = 7;
  commit(log, ["a", "b"]);
  commit(log, ["c"]);
  assertEquals(start(files).replayed, ["a=vvv", "b=vvv", "c=vvv"]);
});

Deno.test("a full disk costs the turn that has no room, and nothing else", () => {
  const files = newFiles();
  const { log } = start(files);
  commit(log, ["a"]);
  files[0].sizeMax = 5_000;
  for (let attempt = 0; attempt < 2; attempt++) {
    log.add(putOf("large", "x".repeat(8_000)));
    assertThrows(() => log.commit(), DiskFullError);
    log.dropGathered();
    assertEquals(start(copyOf(files)).replayed.at(0), "a=vvv");
  }
  commit(log, ["b"]);
  assertEquals(start(copyOf(files)).replayed, ["a=vvv", "b=vvv"]);
  files[0].sizeMax = Infinity;
  commit(log, ["c"], 8_000);
  assertEquals(start(files).replayed.length, 3);
});

Deno.test("a disk without room for the segments has a log that grows", () => {
  const files = newFiles();
  for (const file of files) file.sizeMax = 1_000;
  const { log } = start(files);
  assertEquals(files.map(({ bytes }) => bytes.length), [0, 0]);
  commit(log, ["a"]);
  assertEquals(start(files).replayed, ["a=vvv"]);
});

Deno.test("a sync that fails ends the table, and is not tried again", () => {
  const files = newFiles();
  const { log } = start(files);
  const { syncCount } = files[0];
  files[0].failsToSync = true;
  log.add(putOf("a", "value"));
  const error = assertThrows(() => log.commit(), TableError);
  assert(error.fatal);
  assertEquals(files[0].syncCount, syncCount + 1);
});

Deno.test("what a start has found is durable before anyone can read it", () => {
  const files = newFiles();
  const { log } = start(files);
  commit(log, ["a"]);
  files[0].failsToSync = true;
  log.add(putOf("b", "written, and not synced"));
  assertThrows(() => log.commit(), TableError);
  files[0].failsToSync = false;
  assertEquals(start(files).replayed.length, 2);
  for (let i = 0; i < 20; i++) {
    const left = [files[0].afterPowerCut((count) => i % count), files[1]] as const;
    assertEquals(start([new FakeFile(left[0]), new FakeFile()]).replayed.length, 2);
  }
});
