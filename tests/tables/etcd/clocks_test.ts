/**
 * What the order of the log says of clocks that differ, and when an expired key may be removed for good.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Clocks } from "../../../tables/etcd/clocks.ts";

const NOON = 1_800_000_000_000;
const GRACE_MS = 5_000;
const HOUR_MS = 3_600_000;

/** The clocks as a server knows them whose own clock the test sets, and what it has told. */
function setup() {
  const told: unknown[] = [];
  const time = { now: NOON };
  const clocks = new Clocks(() => time.now, (_, __, details) => told.push(details?.seconds));
  return { clocks, time, told };
}

Deno.test("where clocks agree, what has expired is removed after a grace", () => {
  const { clocks, time, told } = setup();
  clocks.noteEnd(NOON);
  for (; time.now < NOON + 3_000; time.now += 100) clocks.noteEntry(time.now - 20);
  assert(clocks.removal >= time.now - GRACE_MS - 30);
  assertEquals(told, []);
});

Deno.test("a server that is ahead waits for those that are behind, for an hour", () => {
  const { clocks, time, told } = setup();
  for (let i = 0; i < 3; i++) {
    clocks.noteEnd(time.now);
    time.now += 1_000;
    clocks.noteEntry(time.now - 180_000);
  }
  assert(clocks.removal <= time.now - 179_000 - GRACE_MS, `${time.now - clocks.removal}`);
  assertEquals(told, [179], "once");
  time.now += HOUR_MS;
  assertEquals(clocks.removal, time.now - GRACE_MS);
});

Deno.test("a server that was long away takes nobody to be behind", () => {
  const { clocks, time } = setup();
  clocks.noteEnd(NOON);
  time.now += HOUR_MS;
  for (let at = NOON; at < time.now; at += 60_000) clocks.noteEntry(at);
  assertEquals(clocks.removal, time.now - GRACE_MS);
});

Deno.test("two others that differ are seen in the order of what they have written", () => {
  const { clocks, time, told } = setup();
  clocks.noteEntry(NOON - 60_000);
  clocks.noteEntry(0); // An entry without a time says nothing.
  clocks.noteEntry(NOON - 360_000);
  clocks.noteEntry(NOON);
  assertEquals(clocks.removal, time.now - 300_000 - GRACE_MS);
  assertEquals(told, [300]);
});

Deno.test("after a start, the time since the last entry may be a difference, and is not told", () => {
  const { clocks, time, told } = setup();
  clocks.noteEntry(NOON - 120_000);
  clocks.noteLoaded();
  assertEquals(clocks.removal, time.now - 120_000 - GRACE_MS);
  time.now += HOUR_MS;
  assertEquals(clocks.removal, time.now - GRACE_MS);
  const empty = setup();
  empty.clocks.noteLoaded();
  assertEquals(empty.clocks.removal, NOON - GRACE_MS);
  assertEquals(told, []);
});
