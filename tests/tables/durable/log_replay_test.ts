/**
 * What a start replays from the log: each committed change, whole and in order, and nothing else.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { KIND } from "../../../tables/durable/change.ts";
import { Text } from "../../../tables/text.ts";
import { logOn } from "./fake_disk.ts";
import { commit, newFiles, putOf, recordsIn, start } from "./log_steps.ts";

Deno.test("a start replays what was committed, in order", () => {
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

Deno.test("a change is replayed with every field", () => {
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

Deno.test("records of another table are ignored", () => {
  const files = newFiles();
  const { log } = start(files, { salt: 1 });
  commit(log, ["a"]);
  const other = start(files, { salt: 2 });
  assertEquals(other.replayed, []);
  commit(other.log, ["b"]);
  assertEquals(start(files, { salt: 2 }).replayed, ["b=vvv"]);
});

Deno.test("a value that looks like a record is not replayed as one", () => {
  const files = newFiles();
  const { log } = start(files);
  commit(log, ["a"], 1_000);
  // A record of a later turn, byte for byte, where a search for one looks.
  const forged = newFiles();
  const { log: forger } = start(forged, { flushed: 100, turn: 100, salt: 99 });
  commit(forger, ["forged"]);
  files[0].bytes.set(forged[0].bytes.subarray(0, recordsIn(forged[0])[1]), 1_200);
  assertEquals(start(files).replayed.length, 1);
});
