/**
 * The requests that a client holds, beside two plain arrays.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { Backlog } from "../../client/backlog.ts";
import { ConnectionError, TimeoutError } from "../../client/errors.ts";
import { makeRequest, type Request } from "../../client/request.ts";
import { nothing } from "../../client/result.ts";
import { numberFrom } from "../support/harness.ts";

const SEED = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 2 ** 31);
const LIMITS = { queueMax: 150, queueSizeMax: 1_000 };

/** A step: what to do, and a number that says to which request, or how many. */
const step = fc.tuple(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant("add") },
    { weight: 3, arbitrary: fc.constant("abandon") },
    { weight: 2, arbitrary: fc.constantFrom("take", "answer") },
    fc.constantFrom("lose", "put back", "fail", "add many", "abandon most"),
  ),
  fc.nat(200),
);

/** A backlog, and what it should hold. */
class Pair {
  readonly #backlog = new Backlog(LIMITS);
  #waiting: Request[] = [];
  #sent: Request[] = [];
  #count = 0;

  /** Does the same to both. */
  do(what: string, n: number): void {
    const open = [...this.#sent, ...this.#waiting].filter((request) => !request.isSettled);
    switch (what) {
      case "add":
        return this.#add(n % 12);
      case "add many":
        for (let i = 0; i < n; i++) this.#add(0);
        return;
      case "abandon":
        if (open.length > 0) this.#abandon(open[n % open.length]!);
        return;
      case "abandon most":
        for (const [i, request] of open.entries()) if (i % 4 !== n % 4) this.#abandon(request);
        return;
      case "take":
        return this.#take(n);
      case "answer": {
        const request = this.#sent.shift();
        assertEquals(this.#backlog.answered(), request);
        request?.ok(undefined);
        return;
      }
      case "lose":
      case "put back": {
        const lost = this.#sent.filter((request) => !request.isSettled);
        assertEquals(this.#backlog.lost(), lost);
        this.#sent = [];
        if (what === "lose") return lost.forEach((request) => request.fail(gone()));
        this.#backlog.putBack(lost);
        this.#waiting.unshift(...lost);
        return;
      }
      case "fail":
        this.#backlog.failWaiting(gone);
        assertEquals(this.#waiting.every((request) => request.isSettled), true);
        this.#waiting = [];
    }
  }

  /** Compares both. */
  check(): void {
    const waiting = this.#waiting.filter((request) => !request.isSettled);
    const held = [...this.#sent, ...waiting];
    assertEquals(this.#backlog.count, held.length);
    assertEquals(this.#backlog.isWaiting, waiting.length > 0);
    assertEquals(this.#backlog.isExpecting, this.#sent.length > 0);
    assertEquals(this.#backlog.isAwaited, held.some((request) => !request.isSettled));
    const room = LIMITS.queueSizeMax - held.reduce((sum, { size }) => sum + size, 0);
    for (const size of [room, room + 1].filter((size) => size > 0)) {
      const isFull = held.length >= LIMITS.queueMax || held.length > 0 && size > room;
      assertEquals(this.#backlog.isFull({ size } as Request), isFull, `${size} more characters`);
    }
    if (held.length > 0) assertEquals(this.#backlog.since > 0, true);
  }

  #add(length: number): void {
    const line = `${this.#count++}${"x".repeat(length)}\r\n`;
    const { request, promise } = makeRequest(line, {
      decoder: nothing,
      isChange: true,
      retry: true,
    });
    promise.catch(() => {});
    if (this.#backlog.isFull(request)) return;
    this.#backlog.add(request);
    this.#waiting.push(request);
  }

  #abandon(request: Request): void {
    request.fail(new TimeoutError("late", { mayHaveHappened: false }));
    this.#backlog.abandon(request);
  }

  #take(sizeMax: number): void {
    let lines = "";
    while (lines.length < sizeMax) {
      const request = this.#waiting.shift();
      if (request === undefined) break;
      if (request.isSettled) continue;
      lines += request.line;
      this.#sent.push(request);
    }
    assertEquals(this.#backlog.take(sizeMax), lines);
  }
}

function gone(): ConnectionError {
  return new ConnectionError("gone");
}

Deno.test("a backlog holds, counts and orders requests as two arrays would", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const pair = new Pair();
      for (const [what, n] of steps) {
        pair.do(what, n);
        pair.check();
      }
    }),
    { numRuns: numberFrom("KEYLINE_FUZZ_RUNS", 100), seed: SEED },
  );
});
