/**
 * The checker of histories must find what is wrong with one: otherwise what it says of a cluster is
 * worth nothing.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Event, repeatedVersions, violationsOf } from "./history.ts";

/** A history of requests such as `1-4 PUT a x: 200 OK`, called and answered then. */
function historyOf(...lines: string[]): Event[] {
  return lines.map((line) => {
    const [, calledAt, repliedAt, request, reply] = /^(\d+)-(\d*) ([^:]+)(?:: (.*))?$/.exec(line)!;
    const [verb = "", key = "", ...rest] = request!.split(" ");
    return {
      request: [verb, key, ...rest],
      reply,
      calledAt: Number(calledAt),
      repliedAt: Number(repliedAt),
    };
  });
}

/** Whether a history is linearizable. */
function holds(...lines: string[]): boolean {
  return violationsOf(historyOf(...lines)).length === 0;
}

Deno.test("what came one after the other is linearizable only in that order", () => {
  assertEquals(holds("1-2 PUT a x: 200 OK", "3-4 GET a: 200 OK x"), true);
  assertEquals(holds("1-2 PUT a x: 200 OK", "3-4 GET a: 404 NOT FOUND"), false);
  assertEquals(holds("1-2 PUT a x: 200 OK", "3-4 PUT a y: 200 OK", "5-6 GET a: 200 OK x"), false);
  assertEquals(holds("1-2 PUT a x: 200 OK", "3-4 CLEAR: 200 OK", "5-6 GET a: 200 OK x"), false);
  assertEquals(holds("1-2 ADD a x: 200 OK", "3-4 ADD a y: 200 OK"), false);
});

Deno.test("what overlaps may have come in any order, but in one", () => {
  assertEquals(
    holds("1-9 PUT a x: 200 OK", "2-3 GET a: 404 NOT FOUND", "4-5 GET a: 200 OK x"),
    true,
  );
  assertEquals(
    holds("1-9 PUT a x: 200 OK", "2-3 GET a: 200 OK x", "4-5 GET a: 404 NOT FOUND"),
    false,
  );
  assertEquals(holds("1-4 INCR a: 200 OK 1", "2-3 INCR a: 200 OK 2"), true);
  assertEquals(holds("1-4 INCR a: 200 OK 1", "2-3 INCR a: 200 OK 1"), false);
});

Deno.test("what got no reply has taken place once or not at all", () => {
  assertEquals(holds("1- INCR a", "2-3 GET a: 404 NOT FOUND", "8-9 GET a: 200 OK 1"), true);
  assertEquals(holds("1- INCR a", "8-9 GET a: 404 NOT FOUND"), true);
  assertEquals(holds("1- INCR a", "8-9 GET a: 200 OK 2"), false);
  assertEquals(
    holds("1- PUT a x", "2-3 PUT a y: 200 OK", "4-5 GET a: 200 OK y", "6-7 GET a: 200 OK x"),
    true,
  );
});

Deno.test("what was answered 500 has not taken place", () => {
  assertEquals(holds("1-2 PUT a x: 500 ERROR why", "3-4 GET a: 404 NOT FOUND"), true);
  assertEquals(holds("1-2 PUT a x: 500 ERROR why", "3-4 GET a: 200 OK x"), false);
});

Deno.test("CAS holds with the version that stands, and with no other", () => {
  const put = "1-2 PUT a x: 200 OK";
  assertEquals(holds(put, "3-4 GETS a: 200 OK 7 x", "5-6 CAS a 7 y: 200 OK 8"), true);
  assertEquals(holds(put, "3-4 GETS a: 200 OK 7 x", "5-6 CAS a 6 y: 200 OK 8"), false);
  assertEquals(holds(put, "3-4 GETS a: 200 OK 7 x", "5-6 CAS a 7 y: 409 CONFLICT"), false);
  assertEquals(holds(put, "3-4 GETS a: 200 OK 7 x", "5-6 GETS a: 200 OK 8 x"), false);
  assertEquals(
    holds(put, "3-4 GETS a: 200 OK 7 x", "5-8 CAS a 7 y: 200 OK 8", "5-8 CAS a 7 z: 200 OK 9"),
    false,
  );
});

Deno.test("a version that was given twice is found", () => {
  const once = historyOf(
    "1-2 GETS a: 200 OK 7 x",
    "3-4 GETS a: 200 OK 7 x",
    "5-6 CAS a 7 y: 200 OK 8",
  );
  assertEquals(repeatedVersions(once), []);
  const twice = historyOf("1-2 GETS a: 200 OK 7 x", "3-4 GETS b: 200 OK 7 x");
  assertEquals(repeatedVersions(twice), ["7"]);
});
