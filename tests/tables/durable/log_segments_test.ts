/**
 * The two segments of the log: how they grow, are reused, and are read back while sealed.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Log } from "../../../tables/durable/log.ts";
import { TableError } from "../../../tables/table.ts";
import { commit, copyOf, fillSegment, newFiles, release, start } from "./log_steps.ts";

Deno.test("records left by an earlier use of a segment are skipped", () => {
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

Deno.test("a segment grows past its size while the other one waits, and is cut when reused", () => {
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

Deno.test("a turn larger than a segment is replayed, and read back from the sealed segment", () => {
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

Deno.test("the sealed segment can be read back from any change", () => {
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

Deno.test("a sealed segment that differs from what was written is a fatal error", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  files[0].bytes[100]! ^= 1;
  const error = assertThrows(() => log.nextSealed(0), TableError);
  assert(error.fatal);
});
