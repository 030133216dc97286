/**
 * The stream of frames: what a second is made of, who may watch, and that watching ends with the server.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Frame, FrameMaker } from "../../admin/frame.ts";
import { Live } from "../../admin/live.ts";
import { answer } from "../support/answer.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { Line } from "../../server/input/line.ts";
import { contextOfAll } from "../support/context.ts";
import { testServer, testWith } from "../support/harness.ts";
import { AdminServer, eventually } from "./admin_server.ts";

const SLOW = { at: 1, verb: "KEYS", requests: 1, milliseconds: 9, bytes: 9, address: undefined };

testWith(["read"], "a frame tells of its own second alone", async () => {
  const context = await contextOfAll({ now: () => 5_000 });
  const maker = new FrameMaker(context, 0);
  for (const line of ["PUT a 1", "GET a", "GET a", "GET b"]) await answer(Line.of(line), context);
  context.metrics.countTurn(2);
  context.metrics.countCommit(1);
  context.metrics.bytesReceived += 100;
  const first = maker.make(2_000);
  assertEquals([first.at, first.rate, first.received, first.commits], [5_000, 2, 50, 0.5]);
  assertEquals([first.operations.get!.rate, first.operations.put!.rate], [1.5, 0.5]);
  assertEquals([first.batch, first.keys], [4, 1]);
  const { p50, p99, p999 } = first.latency!;
  assert(p50 <= p99 && p99 <= p999 && p999 === 0.002, JSON.stringify(first.latency));
  const idle = maker.make(3_000);
  assertEquals([idle.rate, idle.received, idle.commits], [0, 0, 0]);
  assertEquals([idle.latency, idle.commit, idle.batch, idle.operations], [null, null, null, {}]);
});

testWith(["read"], "a frame tells of the table's disk, where it has one", async () => {
  const table = new MemoryTable();
  const onDisk = { ...table.stats(), disk_bytes: 1_000, cache_misses: 7 };
  const context = await contextOfAll({ table });
  const first = new FrameMaker(context, 0).make(1_000);
  assertEquals([first.disk, first.diskReads], [null, null]);
  table.stats = () => onDisk;
  const maker = new FrameMaker(context, 0);
  onDisk.cache_misses += 10;
  const { disk, diskReads } = maker.make(2_000);
  assertEquals([disk, diskReads], [1_000, 5]);
});

testWith(
  ["read"],
  "a frame tells of the requests that held up the server in its second",
  async () => {
    const context = await contextOfAll();
    const maker = new FrameMaker(context, 0);
    context.metrics.slow.note(SLOW);
    assertEquals(maker.make(1_000).slow, [SLOW]);
    assertEquals(maker.make(2_000).slow, []);
    context.metrics.slow.note(SLOW);
    context.metrics.slow.note({ ...SLOW, verb: "CLEAR" });
    assertEquals(maker.make(3_000).slow.map(({ verb }) => verb), ["KEYS", "CLEAR"]);
  },
);

testWith(["read"], "whoever begins to watch is told of the last slow requests", async () => {
  const context = await contextOfAll();
  for (let i = 0; i < 130; i++) context.metrics.slow.note({ ...SLOW, bytes: i });
  const live = new Live(context);
  live.start();
  const early = join(live);
  await eventually(() => early.said.includes("event: frame") || undefined);
  const { said } = join(live);
  live.close();
  const { slow } = JSON.parse(/^event: server\ndata: (.*)$/m.exec(said)![1]!);
  assertEquals([slow.length, slow.at(-1).bytes], [128, 129]);
});

testServer(
  "a frame comes each second, and one that lost its connection gets what it missed",
  async () => {
    await using server = await AdminServer.start({ args: ["--memory"] });
    const events = await watch(server);
    const seen = await events.read(4);
    assertEquals(seen.map(({ event }) => event), ["server", "history", "frame", "frame"]);
    await events.cancel();
    const { id } = seen.at(-1)!;
    await eventually(async () => {
      const again = await watch(server, { "last-event-id": id });
      const [, missed] = await again.read(2);
      await again.cancel();
      assertEquals(missed!.event, "missed");
      const frames: Frame[] = JSON.parse(missed!.data);
      const last: Frame = JSON.parse(seen.at(-1)!.data);
      assert(frames.every(({ at }) => at > last.at));
      return frames.length > 0 || undefined;
    });
    const other = await watch(server, { "last-event-id": "1-5" });
    const [, all] = await other.read(2);
    await other.cancel();
    assertEquals(all!.event, "history");
  },
);

testServer("a frame says what is wrong", async () => {
  await using server = await AdminServer.start({ args: ["--memory", "--max-connections", "1"] });
  using client = await server.process.connect();
  await client.ask("COUNT");
  const before = Date.now();
  using refused = await server.process.connect();
  await refused.rest();
  const events = await watch(server);
  const alert = await eventually(async () => {
    const [{ event, data }] = await events.read(1) as [Event];
    return event === "frame" ? (JSON.parse(data) as Frame).alerts[0] : undefined;
  });
  await events.cancel();
  assertEquals(alert.name, "clients refused");
  assert(alert.since >= before && alert.since <= Date.now());
});

testServer("sixteen may watch, one more is told so, and a place that is left is free", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const watchers = await Promise.all(Array.from({ length: 16 }, () => watch(server)));
  assertEquals((await server.get("events")).status, 503);
  assertEquals((await server.get("metrics")).status, 200);
  await watchers[0]!.cancel();
  const late = await eventually(async () => {
    const response = await fetch(`${server.url}events`);
    if (response.status === 200) return response;
    await response.text();
  });
  await late.body!.cancel();
  for (const watcher of watchers.slice(1)) await watcher.cancel();
});

testServer("a watcher does not hold up the end of the server", async () => {
  await using server = await AdminServer.start();
  const events = await watch(server);
  await events.read(2);
  const startedAt = performance.now();
  const { code } = await server.process.stop("SIGINT");
  assertEquals(code, 0);
  assert(performance.now() - startedAt < 3_000, "without waiting for it");
  await events.cancel();
});

/** Watches without a socket. */
function join(live: Live): { said: string } {
  const watcher = { said: "", writeHead() {}, on() {}, end() {}, write };
  function write(text: string): void {
    watcher.said += text;
  }
  const request = { method: "GET", headers: {} } as IncomingMessage;
  live.join(request, watcher as unknown as ServerResponse);
  return watcher;
}

interface Event {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** Opens the stream, and reads it event by event. */
async function watch(server: AdminServer, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}events`, { headers });
  assertEquals(response.status, 200);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    async read(count: number): Promise<Event[]> {
      const events: Event[] = [];
      while (events.length < count) {
        const end = text.indexOf("\n\n");
        if (end >= 0) {
          events.push(eventIn(text.slice(0, end)));
          text = text.slice(end + 2);
          continue;
        }
        const { value, done } = await reader.read();
        assert(!done, "it goes on");
        text += value;
      }
      return events;
    },
    cancel: () => reader.cancel().catch(() => {}),
  };
}

function eventIn(text: string): Event {
  const fields = text.split("\n").map((line) => /^(\w+): (.*)$/.exec(line)!.slice(1));
  const { event = "", id = "", data = "" } = Object.fromEntries(fields);
  return { event, id, data };
}
