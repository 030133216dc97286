/**
 * What a start takes for the torn end of a crash, which it skips, and what for damage, which stops it.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { OpenError } from "../../../tables/durable/errors.ts";
import { commit, copyOf, fillSegment, newFiles, recordsIn, release, start } from "./log_steps.ts";

Deno.test("a last record torn at any byte is skipped, and the log continues in its place", () => {
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

Deno.test("a bit flipped before the last record stops the start with an error that names file and byte", () => {
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

Deno.test("damage at the end of a segment is not taken for a torn end when the other segment continues", () => {
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

Deno.test("damage in changes that the rows already hold does not stop a start", () => {
  const files = newFiles();
  const { log } = start(files);
  fillSegment(log);
  const state = { flushed: log.lastChange, turn: log.turn };
  commit(log, ["in the other"]);
  files[0].bytes[recordsIn(files[0]).at(-2)! + 20]! ^= 1;
  assertEquals(start(files, state).replayed, ["in the other=vvv"]);
});

Deno.test("a start fails if the rows lack changes that the log no longer has", () => {
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
