/**
 * How a turn splits what its sessions submit: each gets its own lines, in order, wherever they lie, and as
 * many as it takes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { refused } from "../../../server/dispatch/request.ts";
import type { Lines } from "../../../server/input/lines.ts";
import { linesIn } from "../../support/line_cuts.ts";
import { Metrics } from "../../../server/observe/metrics.ts";
import { okay } from "../../../server/reply.ts";
import { REAL_TIME } from "../../../server/time.ts";
import { Turn, type TurnSession } from "../../../server/turn/turn.ts";
import { Text } from "../../../tables/text.ts";
import { STOPPED } from "../../support/clock.ts";
import { FakeTable } from "../../support/memory_server.ts";

const utf8 = new TextEncoder();

function makeTurn(time = STOPPED): { turn: Turn } {
  const metrics = new Metrics({ version: "0.0.0", startedAt: 0 });
  const onFatal = (error: unknown) => {
    throw error;
  };
  return { turn: new Turn({ table: new FakeTable(), metrics, onFatal, time }) };
}

/** A session that keeps its lines, and takes so many at a time. */
interface Taker extends TurnSession {
  readonly taken: string[];
  rest: Lines | undefined;
}

function makeTaker(atATime = Infinity): Taker {
  const taken: string[] = [];
  let left = atATime;
  return {
    taken,
    rest: undefined,
    prepare: (line) => refused(line, okay),
    answer({ line }) {
      const bytes = new Text(line.memory, line.start, line.end);
      assertEquals(String(bytes), line.text, "the bytes are those of the text");
      taken.push(line.fault === undefined ? line.text : `${line.fault}!`);
      return --left > 0 ? "goes on" : "stops";
    },
    noteSlow() {},
    release(rest) {
      left = atATime;
      this.rest = rest;
    },
  };
}

/** Submits lines until all are taken, as a connection does; returns how often it had to. */
async function submitAll(turn: Turn, taker: Taker, lines: Lines): Promise<number> {
  let count = 0;
  for (let rest: Lines | undefined = lines; rest !== undefined; rest = taker.rest) {
    await turn.submit(taker, rest);
    count++;
  }
  return count;
}

Deno.test("sessions that submit at once each get their own lines, in order", async () => {
  const { turn } = makeTurn();
  const takers = Array.from({ length: 200 }, () => makeTaker());
  const long = "x".repeat(20_000);
  const signs = ["", "é", "\ufeff", "\u{1f5dd}"];
  for (let round = 0; round < 3; round++) {
    const expected = takers.map((_, i) => {
      const sign = signs[(i + round) % 4];
      const lines = Array.from({ length: (i + round) % 5 }, (_, j) => `${sign}${round} ${i} ${j}`);
      if (i % 7 === 0) lines.push(`${long}${i}`); // A few of them are more than the buffer takes.
      if (i % 50 === 0) lines.push(long.repeat(3));
      return [...lines, ""];
    });
    await Promise.all(expected.map(async (lines, i) => {
      const end = i % 2 === 0 ? "\n" : "\r\n";
      const packet = lines.map((line) => `${line}${end}`).join("");
      await turn.submit(takers[i]!, linesIn(packet));
      assertEquals(takers[i]!.rest, undefined);
      await turn.submit(takers[i]!, linesIn("more\n")); // while others still wait
    }));
    const found = takers.map(({ taken }) => taken.splice(0));
    assertEquals(found, expected.map((lines) => [...lines, "more"]));
  }
});

Deno.test("sessions with much to split leave moments for others", async () => {
  const { turn } = makeTurn(REAL_TIME);
  const packet = new Uint8Array(65_536).fill(0x0a);
  let moments = 0;
  const timer = setInterval(() => moments++, 0);
  const takers = Array.from({ length: 6 }, () => makeTaker());
  await Promise.all(takers.map((taker) => submitAll(turn, taker, linesIn(packet))));
  clearInterval(timer);
  assert(moments > 0, "timers have run meanwhile");
  for (const { taken } of takers) assertEquals(taken.length, packet.length);
});

Deno.test(
  "a session that stops taking lines gets the rest back, and the others all of theirs",
  async () => {
    const { turn } = makeTurn();
    const [slow, other] = [makeTaker(3), makeTaker()];
    const names = Array.from({ length: 10 }, (_, i) => `é ${i}`);
    const packet = names.map((name, i) => `${name}${i % 2 === 0 ? "\n" : "\r\n"}`).join("");
    await Promise.all([slow, other].map((taker) => turn.submit(taker, linesIn(packet))));
    assertEquals(slow.taken, names.slice(0, 3));
    assertEquals([other.taken, other.rest], [names, undefined]);
    assertEquals(slow.rest!.count, 7);
    await submitAll(turn, slow, slow.rest!);
    assertEquals(slow.taken, names);
  },
);

Deno.test("a session that stops at its last line has no rest", async () => {
  const { turn } = makeTurn();
  const taker = makeTaker(2);
  await turn.submit(taker, linesIn("a\nb\n"));
  assertEquals([taker.taken, taker.rest], [["a", "b"], undefined]);
});

Deno.test("a rest stays where it is, whatever others send, and is not copied", async () => {
  const { turn } = makeTurn();
  const taker = makeTaker(1);
  const packet = Uint8Array.from([...utf8.encode("a\nbé\n"), 0x80, 0x0a, 0x63, 0x0a]);
  const lines = linesIn(packet);
  await turn.submit(taker, lines);
  for (let left = 3; left > 0; left--) {
    const { text, count, faults } = taker.rest!;
    assertEquals(count, left);
    assert(text.memory === lines.text.memory, "its bytes");
    assert(faults!.buffer === lines.faults!.buffer, "what is known of its lines");
    await turn.submit(makeTaker(), linesIn("xxxxxxxxxx\n"));
    await turn.submit(taker, taker.rest!);
  }
  assertEquals(taker.taken, ["a", "bé", "not UTF-8!", "c"]);
});

Deno.test("a rest that is more than the split buffer takes is taken from where it begins", async () => {
  const { turn } = makeTurn();
  const taker = makeTaker(7);
  const names = Array.from({ length: 100 }, (_, i) => `${i} ${"x".repeat(1_000)}`);
  await submitAll(turn, taker, linesIn(names.map((name) => `${name}\n`).join("")));
  assertEquals(taker.taken, names);
});

Deno.test("faults keep their places in a rest that is submitted again", async () => {
  const bad = [0xc3, 0x0a];
  const long = utf8.encode("123456789\r\n");
  const packet = Uint8Array.from([
    ...utf8.encode("a\r\n"),
    ...bad,
    ...long,
    0x0a,
    ...bad,
    0x62,
    0x0a,
  ]);
  const expected = ["a", "not UTF-8!", "too long!", "", "not UTF-8!", "b"];
  for (let atATime = 1; atATime <= expected.length; atATime++) {
    const { turn } = makeTurn();
    const taker = makeTaker(atATime);
    const turns = await submitAll(turn, taker, linesIn(packet, 8));
    assertEquals([taker.taken, turns], [expected, Math.ceil(expected.length / atATime)]);
  }
});
