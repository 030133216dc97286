/**
 * How often the client looks at requests that wait while the server is away: a bounded number of times each, however
 * many there are. Looking at all of them for each that is given up would take minutes for a full queue.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type KeylineError, TimeoutError } from "../../client/errors.ts";
import { settingsOf } from "../../client/options.ts";
import { Pipeline } from "../../client/pipeline.ts";
import { makeRequest, type Request } from "../../client/request.ts";
import { nothing } from "../../client/result.ts";
import { delay } from "../support/waiting.ts";
import { FakeServer } from "./fake_server.ts";
import { breakOff, errorOf, faultTest, type Script } from "./fault_scripts.ts";

const silent: Script = async (client) => {
  while (await client.line() !== undefined);
};

/** A request, how it ends, and how often the client looks at it. */
function counted(): { request: Request; error: Promise<KeylineError>; looks: () => number } {
  const { request, promise } = makeRequest("PUT k v\r\n", { decoder: nothing, isChange: true });
  let looks = 0;
  const proxy = new Proxy(request, {
    get(target, name) {
      if (name === "isSettled") looks++;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
  return { request: proxy, error: errorOf(promise), looks: () => looks };
}

/** A pipeline that has lost its connection, and tries in vain to make another one. */
async function disconnected(server: FakeServer, timeout = 30_000): Promise<Pipeline> {
  const pipeline = await Pipeline.open(settingsOf({ port: server.port, timeout }));
  const { request, error } = counted();
  pipeline.send(request);
  await error;
  return pipeline;
}

faultTest("giving up one of many requests does not look at the others", [
  breakOff,
  silent,
], async (server) => {
  const count = 500;
  const pipeline = await disconnected(server);
  const waiting = Array.from({ length: count }, counted);
  for (const { request } of waiting) pipeline.send(request);
  await delay(0);
  for (const { request } of waiting) {
    pipeline.abandon(request, new TimeoutError("late", { mayHaveHappened: false }));
    await delay(0);
  }
  for (const { error } of waiting) assert(await error instanceof TimeoutError);
  const looks = waiting.reduce((sum, { looks }) => sum + looks(), 0);
  assert(looks <= 10 * count, `${looks / count} looks at each request`);
  await pipeline.close();
});

faultTest("requests that wait in vain are looked at some twenty times", [
  breakOff,
  silent,
], async (server) => {
  const count = 200;
  const pipeline = await disconnected(server, 200);
  const waiting: ReturnType<typeof counted>[] = [];
  for (let i = 0; i < count; i++) {
    const one = counted();
    waiting.push(one);
    pipeline.send(one.request);
    await delay(1);
  }
  for (const { error } of waiting) assertEquals((await error).mayHaveHappened, false);
  const looks = waiting.reduce((sum, { looks }) => sum + looks(), 0);
  assert(looks <= 60 * count, `${looks / count} looks at each request`);
  await pipeline.close();
});
