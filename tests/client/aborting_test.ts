/**
 * One signal for many requests and many clients.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { AbortError, connect } from "../../client/client.ts";
import { errorOf, faultTest, type Script, serve } from "./fault_scripts.ts";

/** Counts the listeners that a signal has, and has had at most. */
function countListeners(signal: AbortSignal): { now: number; max: number } {
  const count = { now: 0, max: 0 };
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    count.max = Math.max(count.max, ++count.now);
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    count.now--;
    removeEventListener.apply(signal, args);
  };
  return count;
}

const silent: Script = async (client) => {
  await client.greet();
  while (await client.line() !== undefined);
};

faultTest("a signal has one listener for any number of requests, and none after them", [
  serve,
], async (server) => {
  const { signal } = new AbortController();
  const count = countListeners(signal);
  for (let round = 0; round < 2; round++) {
    const clients = await Promise.all(
      Array.from({ length: 12 }, () => connect({ port: server.port, signal })),
    );
    await Promise.all(
      clients.flatMap((db) => Array.from({ length: 12 }, () => db.get("k", { signal }))),
    );
    assertEquals(count, { now: 0, max: 1 });
    await Promise.all(clients.map((db) => db.close()));
  }
});

faultTest("a signal aborts every request that has it, and no other", [silent], async (server) => {
  const db = await connect({ port: server.port });
  const [controller, other] = [new AbortController(), new AbortController()];
  const count = countListeners(controller.signal);
  const aborted = Array.from(
    { length: 12 },
    (_, i) => errorOf(db.get(`k${i}`, { signal: controller.signal })),
  );
  const left = errorOf(db.get("k", { signal: other.signal }));
  controller.abort("enough");
  for (const error of await Promise.all(aborted)) {
    assert(error instanceof AbortError);
    assertEquals(error.cause, "enough");
  }
  assertEquals(count, { now: 0, max: 1 });
  db.destroy();
  assert(!(await left instanceof AbortError));
});
