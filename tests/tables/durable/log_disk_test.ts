/**
 * The log on a disk that takes part of a write, is full, or fails to sync.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { DiskFullError } from "../../../tables/durable/errors.ts";
import { TableError } from "../../../tables/table.ts";
import { FakeFile } from "./fake_disk.ts";
import { commit, copyOf, newFiles, putOf, start } from "./log_steps.ts";

Deno.test("a partial write is continued", () => {
  const files = newFiles();
  const { log } = start(files);
  files[0].writeBytesMax = 7;
  commit(log, ["a", "b"]);
  commit(log, ["c"]);
  assertEquals(start(files).replayed, ["a=vvv", "b=vvv", "c=vvv"]);
});

Deno.test("a full disk fails the turn that does not fit, and nothing else", () => {
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

Deno.test("on a disk without room for whole segments, the log grows as it is written", () => {
  const files = newFiles();
  for (const file of files) file.sizeMax = 1_000;
  const { log } = start(files);
  assertEquals(files.map(({ bytes }) => bytes.length), [0, 0]);
  commit(log, ["a"]);
  assertEquals(start(files).replayed, ["a=vvv"]);
});

Deno.test("a failed sync is fatal, and is not retried", () => {
  const files = newFiles();
  const { log } = start(files);
  const { syncCount } = files[0];
  files[0].failsToSync = true;
  log.add(putOf("a", "value"));
  const error = assertThrows(() => log.commit(), TableError);
  assert(error.fatal);
  assertEquals(files[0].syncCount, syncCount + 1);
});

Deno.test("what a start replays is durable before anyone can read it", () => {
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
