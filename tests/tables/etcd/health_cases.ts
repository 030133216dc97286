/**
 * What the log tells of an engine: a line when it is lost or full, and a line when it is back.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  EngineFullError,
  NotReachedError,
  TooLargeError,
  UncertainError,
} from "../../../tables/etcd/errors.ts";
import { Health } from "../../../tables/etcd/health.ts";
import { TableError } from "../../../tables/table.ts";

/** A health, and what it has told, up to the colon. */
function setup() {
  const told: string[] = [];
  const health = new Health((_, event) => told.push(event.split(":")[0]!));
  health.noteStart();
  return { health, told };
}

const LOST = "The table's engine is lost";
const BACK = "The table's engine is reached again";

Deno.test("whatever fails for every request is an outage, told once", () => {
  const failures = [
    new NotReachedError({ isOutage: true }),
    new UncertainError("silence"),
    new TableError("the table's engine lets this server not in"),
  ];
  const { health, told } = setup();
  for (const failure of failures) health.noteFailure(failure);
  assertEquals([health.isReached, told], [false, [LOST]]);
  health.noteReached();
  health.noteReached();
  assertEquals([health.isReached, told], [true, [LOST, BACK]]);
});

Deno.test("an answer to one change is no outage, and ends one", () => {
  const { health, told } = setup();
  health.noteFailure(new TooLargeError());
  assertEquals([health.isReached, health.isFull, told], [true, false, []]);
  health.noteFailure(new UncertainError("silence"));
  health.noteFailure(new EngineFullError());
  health.noteFailure(new EngineFullError());
  assertEquals([health.isReached, health.isFull], [true, true]);
  health.noteRoom();
  assertEquals(told, [
    LOST,
    BACK,
    "The table's engine is full",
    "The table's engine takes changes again",
  ]);
});

Deno.test("what fails because the table is closed is not told", () => {
  const { health, told } = setup();
  health.close();
  health.noteFailure(new TableError("the table is closed"));
  assertEquals(told, []);
});
