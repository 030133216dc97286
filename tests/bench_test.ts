/**
 * What the benchmark makes of a profile. The rest of it is tried by a short run of it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { sharesOf } from "../bench/profile.ts";

Deno.test("a profile's time goes to the areas of the code, but for what is idle", () => {
  const nodes = [
    node(1, ["(root)", ""], [2, 3, 4, 5, 8]),
    node(2, ["(idle)", ""]),
    node(3, ["(program)", ""]),
    node(4, ["(garbage collector)", ""]),
    node(5, ["serve", "file:///keyline/server/connection.ts"], [6, 7, 10]),
    node(6, ["commit", "file:///keyline/tables/sqlite_table.ts"], [9]),
    node(7, ["splitWaiting", "file:///keyline/server/splitter.ts"]),
    node(8, ["runImmediates", "ext:core/01_core.js"]),
    node(9, ["run", ""]), // a native function, which belongs to what wants it
    node(10, ["write", "ext:deno_net/01_net.js"], [11]),
    node(11, ["async_op_2", "ext:core/00_infra.js"]),
  ];
  const samples = [2, 3, 4, 5, 9, 6, 7, 8, 11];
  const timeDeltas = [900, 10, 10, 10, 10, 20, 20, 10, 10];
  assertEquals(sharesOf({ nodes, samples, timeDeltas }), {
    native: 0.1,
    "event loop": 0.1,
    sockets: 0.1,
    "bytes and text": 0,
    streams: 0.2,
    requests: 0.1,
    table: 0.3,
    garbage: 0.1,
  });
});

function node(id: number, [functionName, url]: [string, string], children: number[] = []) {
  return { id, callFrame: { functionName, url }, children };
}
