/**
 * Calls in batches: when each begins.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { Batches } from "../../../tables/durable/log/batches.ts";

/** Batches of three calls, which calls have begun, and with what; each ends when a test says so. */
function batches() {
  const batches = new Batches(["x", "y", "z"]);
  const begun: string[] = [];
  const calls: PromiseWithResolvers<number>[] = [];
  const call = (): Promise<number> => {
    const own = Promise.withResolvers<number>();
    const number = calls.push(own) - 1;
    return batches.call((resource) => {
      begun.push(`${number}${resource}`);
      return own.promise;
    });
  };
  const end = async (number: number) => {
    calls[number]!.resolve(number);
    await setImmediate();
  };
  return { begun, calls, call, end };
}

Deno.test("a batch begins when all calls of the one before have ended", async () => {
  const { begun, call, end } = batches();
  const results = Array.from({ length: 5 }, call);
  assertEquals(begun, ["0z", "1y", "2x"]);
  await end(1);
  await end(0);
  assertEquals(begun.length, 3, "a look at the sockets comes first");
  results.push(call());
  assertEquals(begun.length, 3, "nobody goes before those that wait");
  await end(2);
  assertEquals(begun.slice(3), ["3x", "4z", "5y"]);
  for (const number of [5, 3, 4]) await end(number);
  assertEquals(await Promise.all(results), [0, 1, 2, 3, 4, 5]);
});

Deno.test("a call begins at once where none waits and a resource is idle", async () => {
  const { begun, call, end } = batches();
  const results = [call(), call()];
  await end(0);
  results.push(call(), call());
  assertEquals(begun, ["0z", "1y", "2z", "3x"]);
  for (const number of [1, 2, 3]) await end(number);
  assertEquals(await Promise.all(results), [0, 1, 2, 3]);
});

Deno.test("a call that fails counts as ended", async () => {
  const { begun, calls, call, end } = batches();
  const results = Array.from({ length: 4 }, call);
  for (const number of [0, 2]) await end(number);
  calls[1]!.reject(new Error("cannot read"));
  await assertRejects(() => results[1]!, Error, "cannot read");
  await setImmediate();
  assertEquals(begun.slice(3).length, 1);
  await end(3);
  assertEquals(await results[3], 3);
});
