/**
 * Random calls of a client to a server that fails at random. Whatever the client says of a change is held to what the
 * server did: a success was made, and a failure with `mayHaveHappened: false` never was.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { Client, ClosedError, KeylineError, QueueFullError } from "../../client/client.ts";
import { settingsOf } from "../../client/options.ts";
import { Pipeline } from "../../client/pipeline.ts";
import { numberFrom, testWith } from "../support/harness.ts";
import { delay, eventually } from "../support/waiting.ts";
import { FakeServer } from "./fake_server.ts";
import { isTaken, ModelServer, numberOf, plans } from "./model_server.ts";

const SEED = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 2 ** 31);
const RUNS_DEFAULT = 100;
const RUNS = numberFrom("KEYLINE_FUZZ_RUNS", RUNS_DEFAULT);

/** Something that most calls do without. */
function seldom<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, arbitrary);
}

/** One call; `wait` is how many milliseconds pass before the next one. */
const call = fc.record({
  verb: fc.constantFrom("get", "put", "add", "incr"),
  retry: fc.boolean(),
  timeout: seldom(fc.integer({ min: 1, max: 20 })),
  abortAfter: seldom(fc.integer({ min: 0, max: 10 })),
  wait: seldom(fc.integer({ min: 0, max: 8 })),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

const schedule = fc.record({
  plans,
  calls: fc.array(call, { minLength: 1, maxLength: 30 }),
  end: fc.constantFrom<"close" | "destroy">("close", "destroy"),
  endsEarly: seldom(fc.constant(true)),
  options: fc.record({
    reconnect: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
    queueMax: fc.constantFrom(3, 1_000, 1_000),
    timeout: fc.constantFrom(40, 80),
  }),
});

/** How a call ended. */
type Outcome = { result: unknown } | { error: unknown };

/** Makes a call with a key of its own. */
function make(db: Client, call: Call, key: string): Promise<Outcome> {
  const { verb, retry, timeout, abortAfter } = call;
  const controller = new AbortController();
  if (abortAfter === 0) controller.abort();
  const timer = abortAfter ? setTimeout(() => controller.abort(), abortAfter) : undefined;
  const signal = abortAfter === undefined ? undefined : controller.signal;
  const options = { retry, timeout, signal };
  const made: Promise<unknown> = verb === "get"
    ? db.get(key, options)
    : verb === "put"
    ? db.put(key, "v", options)
    : verb === "add"
    ? db.add(key, "v", options)
    : db.incr(key, 1, options);
  return made.then((result) => ({ result }), (error) => ({ error }))
    .finally(() => clearTimeout(timer));
}

/** Fails if a promise is not settled for ten seconds, which is far longer than any timeout here. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("a promise is not settled")), 10_000);
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Holds what the client says to what the server did. */
function check(call: Call, outcome: Outcome, { done, key }: { done: number; key: string }): void {
  if ("error" in outcome) {
    const { error } = outcome;
    assert(error instanceof KeylineError, `${key} ${call.verb}: ${error}`);
    if (call.verb === "get") assertEquals(error.mayHaveHappened, false);
    if (error instanceof QueueFullError || error instanceof ClosedError) {
      assertEquals(error.mayHaveHappened, false);
    }
    if (!error.mayHaveHappened) assertEquals(done, 0, `${key} was done, in spite of ${error}`);
    return;
  }
  const { result } = outcome;
  if (call.verb === "get") return assertEquals(result, `value of ${key}`);
  if (call.verb === "incr") assertEquals(result, BigInt(numberOf(key)));
  if (call.verb === "add" && result === false) return assertEquals(done, 0, `${key} was added`);
  assert(done >= 1, `${key} was never done`);
}

testWith(
  ["net"],
  "whatever fails, the client says of each change what may have happened",
  async () => {
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(schedule, async ({ plans, calls, end, endsEarly, options }) => {
        const model = new ModelServer();
        // The first connection has to be made.
        const scripts = model.scripts([
          { greeting: "greet", steps: plans[0]?.steps ?? [] },
          ...plans.slice(1),
        ]);
        await using server = new FakeServer(...scripts);
        const settings = settingsOf({ port: server.port, password: "p", ...options });
        const db = new Client(await Pipeline.open({ ...settings, pauseMs: { min: 1, max: 4 } }));
        const outcomes: Promise<Outcome>[] = [];
        for (const [i, call] of calls.entries()) {
          outcomes.push(make(db, call, `k${i}`));
          if (call.wait !== undefined) await delay(call.wait);
        }
        if (!endsEarly) await inTime(Promise.all(outcomes));
        await inTime(Promise.resolve(db[end]()));
        const settled = await inTime(Promise.all(outcomes));
        await inTime(db.close());
        await eventually("the server has read everything", () => server.isGone(server.connections));

        for (const [i, call] of calls.entries()) {
          const key = `k${i}`;
          const done = model.done.get(key) ?? 0;
          const outcome = settled[i]!;
          check(call, outcome, { done, key });
          const sends = model.lines.flat().filter((line) => line.split(" ")[1] === key).length;
          const isSafe = call.retry || call.verb === "get";
          assert(sends <= (isSafe ? 3 : 1), `${key} was sent ${sends} times`);
          if (isTaken(key) && call.verb === "add") assertEquals(done, 0);
          kinds.add("error" in outcome ? (outcome.error as KeylineError).name : "success");
        }
        for (const lines of model.lines) {
          const order = lines.map((line) => numberOf(line.split(" ")[1]!));
          assertEquals(order, order.toSorted((a, b) => a - b), "the order of the calls");
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
    if (RUNS < RUNS_DEFAULT) return;
    // Runs in which nothing fails would show nothing.
    for (
      const kind of ["success", "LostReplyError", "ProtocolError", "AbortError", "QueueFullError"]
    ) {
      assert(kinds.has(kind), `no call ended with ${kind}`);
    }
  },
);
