/**
 * The checker of whole tables accepts what one table could have answered, and finds what none could.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type TableEvent, tableViolationOf } from "./whole_table.ts";

/** A request from `from` to `to`, with the lines of its reply; without them, none came. */
function event(line: string, [from, to]: [number, number], ...reply: string[]): TableEvent {
  return {
    request: line.split(" "),
    reply: reply.length === 0 ? undefined : reply,
    calledAt: from,
    repliedAt: to,
  };
}

const GOOD: Readonly<Record<string, TableEvent[][]>> = {
  "a CAS without a reply that did not hold, and what came behind it on its connection": [
    [event("PUT v w1", [0, 1], "200 OK")],
    [event("CAS v 5 w2", [2, 3]), event("INCR n", [2, 3])],
    [event("GET n", [10, 11], "200 OK 1"), event("GETS v", [12, 13], "200 OK 4 w1")],
  ],
  "requests that overlap take place in any order": [
    [event("PUT a 1", [0, 9], "200 OK"), event("GET a", [10, 12], "200 OK 2")],
    [event("PUT a 2", [1, 8], "200 OK")],
  ],
  "a DELETE that finds nothing at first may find something later": [
    [event("DELETE a", [0, 9], "200 OK"), event("COUNT", [10, 11], "200 OK 0")],
    [event("PUT a 1", [1, 8], "200 OK")],
  ],
  "what got no reply took place, or did not": [
    [event("PUT a 1", [0, 1])],
    [event("KEYS", [2, 3], "200 OK 0"), event("KEYS", [4, 5], "200-a", "200 OK 1")],
  ],
  "what was answered 500 did not take place": [
    [event("PUT a 1", [0, 1], "500 ERROR x"), event("COUNT", [2, 3], "200 OK 0")],
  ],
  "a version is known once it was seen": [
    [
      event("PUT a 1", [0, 1], "200 OK"),
      event("GETS a", [2, 3], "200 OK 7 1"),
      event("CAS a 7 x", [4, 5], "200 OK 9"),
      event("CAS a 7 y", [6, 7], "409 CONFLICT x"),
    ],
  ],
};

const LATER: TableEvent[][] = [
  [
    event("INCR n", [0, 1], "200 OK 1"),
    event("GETS n", [2, 4], "200 OK 7 1"),
    event("DELETE n", [5, 6], "200 OK"),
    event("INCR n", [7, 8], "200 OK 1"),
  ],
  [event("GETS n", [0, 9], "200 OK 8 1")],
];

Deno.test("the checker accepts: a version of a number that was stored twice", () => {
  assertEquals(tableViolationOf(LATER), undefined);
  assertEquals(tableViolationOf(LATER.toReversed()), undefined);
});

const BAD: Readonly<Record<string, TableEvent[][]>> = {
  "a read of what was overwritten before": [
    [event("PUT a 1", [0, 1], "200 OK"), event("PUT a 2", [2, 3], "200 OK")],
    [event("GET a", [4, 5], "200 OK 1")],
  ],
  "two reads that see two writes in two orders": [
    [event("PUT a 1", [0, 9], "200 OK")],
    [event("PUT b 1", [0, 9], "200 OK")],
    [event("GET a", [0, 1], "200 OK 1"), event("GET b", [2, 3], "404 NOT FOUND")],
    [event("GET b", [0, 1], "200 OK 1"), event("GET a", [2, 3], "404 NOT FOUND")],
  ],
  "a COUNT that a CLEAR has half": [
    [event("PUT a 1", [0, 1], "200 OK"), event("PUT b 1", [2, 3], "200 OK")],
    [event("CLEAR", [4, 9], "200 OK")],
    [event("COUNT", [4, 9], "200 OK 1")],
  ],
  "requests of one connection out of order": [
    [event("GET a", [0, 9], "200 OK 1"), event("PUT a 1", [0, 9], "200 OK")],
  ],
  "an acknowledged write that is lost": [
    [event("INCR n", [0, 1], "200 OK 1"), event("INCR n", [2, 3], "200 OK 2")],
    [event("GET n", [4, 5], "200 OK 1")],
  ],
  "a version that was given to two values": [
    [
      event("PUT a 1", [0, 1], "200 OK"),
      event("GETS a", [2, 3], "200 OK 7 1"),
      event("GETS a", [4, 5], "200 OK 8 1"),
    ],
  ],
};

for (const [name, conversations] of Object.entries(GOOD)) {
  Deno.test(`the checker accepts: ${name}`, () => {
    assertEquals(tableViolationOf(conversations), undefined);
  });
}

for (const [name, conversations] of Object.entries(BAD)) {
  Deno.test(`the checker finds: ${name}`, () => {
    assert(tableViolationOf(conversations) !== undefined);
  });
}
