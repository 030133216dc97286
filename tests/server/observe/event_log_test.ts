/**
 * The log: one line an event, whatever the event brings, and what a server logs of its clients.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  logEvent,
  logFailedStart,
  logFault,
  setLogFormat,
  tellFaults,
} from "../../../server/observe/event_log.ts";
import { AdminServer } from "../../admin/admin_server.ts";
import { eventOf, runServer, ServerProcess, testServer } from "../../support/harness.ts";
import { logOf } from "../../support/memory_server.ts";
import { eventually } from "../../support/waiting.ts";

/** Forges a line, clears a terminal, turns its text around, and breaks a pair of surrogates. */
const EVIL = "x\r\n2026-01-01T00:00:00.000Z info  forged\u001b[2J\u009b1m\u202e\u2028\ud800";

Deno.test("an event is one line: its time, how much it matters, what happened, details", async () => {
  const [line, ...others] = await logOf(() =>
    logEvent("warn", "It happened", { keys: 3, folder: "my data", empty: "" })
  );
  assertEquals(others, []);
  assertEquals(eventOf(line!), 'warn  It happened keys=3 folder="my data" empty=""');
});

Deno.test("an error brings its stack and its cause, in the same line", async () => {
  const error = new Error("outer", { cause: new TypeError("inner") });
  const [line] = await logOf(() => logEvent("error", "Cannot do it", { error }));
  assertMatch(
    line!,
    /error Cannot do it: Error: outer at .*event_log_test.*cause: TypeError: inner/,
  );
  assert(!line!.includes("\n"));
});

for (const format of ["text", "json"] as const) {
  Deno.test(`nothing that a client sends can forge a line or reach a terminal, as ${format}`, async () => {
    setLogFormat(format);
    try {
      const log = await logOf(() => {
        logEvent("info", `Saw ${EVIL}`, { name: EVIL, error: new Error(EVIL) });
        logEvent("error", "Other", { error: EVIL });
      });
      assertEquals(log.length, 2);
      for (const line of log) {
        assert(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(line), JSON.stringify(line));
        assert(line.includes("\\u001b[2J"), line);
      }
    } finally {
      setLogFormat("text");
    }
  });
}

Deno.test("as JSON an event is an object with its details", async () => {
  setLogFormat("json");
  try {
    const [line, failed] = await logOf(() => {
      logEvent("error", "Cannot do it", { error: new Error("why"), keys: 3 });
      logFailedStart("Keyline: no");
    });
    const { time, stack, ...rest } = JSON.parse(line!);
    assertMatch(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assertMatch(stack, /^Error: why\n/);
    assertEquals(rest, { level: "error", event: "Cannot do it", keys: 3, error: "why" });
    assertEquals(JSON.parse(failed!).event, "Keyline: no");
  } finally {
    setLogFormat("text");
  }
});

Deno.test("a long value is cut, whatever it is the value of", async () => {
  const long = "A".repeat(100_000);
  try {
    for (const format of ["text", "json"] as const) {
      setLogFormat(format);
      const [line] = await logOf(() =>
        logEvent("error", "It failed", { error: new Error(long), why: long })
      );
      assert(line!.length < 10_000, `${line!.length}`);
      assert(line!.includes("…"), line);
      if (format === "json") assertEquals(JSON.parse(line!).why.length, 2_001);
    }
  } finally {
    setLogFormat("text");
  }
});

Deno.test("a fault that comes in floods is logged when it begins, and with a count once it is over", async () => {
  const log = await logOf(() => {
    for (let now = 0; now < 300_000; now += 1_000) {
      for (let i = 0; i < 100; i++) logFault("Cannot do it", "why", now);
      if (now < 3_000) logFault("Cannot do it", "for another reason", now);
      tellFaults(now);
    }
    for (let now = 300_000; now < 500_000; now += 1_000) tellFaults(now);
    logFault("Cannot do it", "why", 500_000);
    for (let now = 500_000; now < 600_000; now += 1_000) tellFaults(now);
  });
  assertEquals(log.map(eventOf), [
    "error Cannot do it: why",
    "error Cannot do it: for another reason",
    'error Cannot do it: no more for a minute last="for another reason" count=3',
    "error Cannot do it: no more for a minute last=why count=30000",
    "error Cannot do it: why",
  ]);
});

Deno.test("faults that a client makes different each time are a bounded number of lines", async () => {
  const log = await logOf(() => {
    for (let i = 0; i < 10_000; i++) logFault("Cannot do it", new Error(`at ${i}`), 0);
    tellFaults(60_000);
  });
  assert(log.length <= 102, `${log.length} lines`);
  assertMatch(log.at(-1)!, /Cannot do it: no more for a minute last="at \d+" count=\d+$/);
});

testServer("the log has the address of who gives a wrong password, or takes too long", async () => {
  await using server = await AdminServer.start({
    args: ["--memory", "--idle-timeout", "0.2"],
    env: { KEYLINE_PASSWORD: "sesame" },
  });
  const { process } = server;
  using client = await process.connect();
  assertEquals(await client.ask("AUTH open"), "401 UNAUTHORIZED");
  assertEquals(await client.rest(), "");
  const headers = { authorization: "Bearer open" };
  assertEquals((await server.get("metrics", { headers })).status, 401);
  const told = (event: RegExp) =>
    eventually(`${event}`, () => process.log.some((line) => event.test(line)));
  await told(
    /warn {2}A client was closed, because it took too long from=127\.0\.0\.1 count=1$/,
  );
  await told(/warn {2}A wrong password was given from=127\.0\.0\.1 count=\d$/);
  const right = { headers: { authorization: "Bearer sesame" } };
  const { body } = await server.get("metrics", right);
  assertMatch(body, /^keyline_wrong_passwords_total 2$/m);
  assertMatch(body, /^keyline_connections_timed_out_total 1$/m);
  assert(!process.output.includes("open"), "the guess is not in the log");
});

testServer("the log tells of the start, the recovery and the end, with totals", async () => {
  await using server = await ServerProcess.start();
  using client = await server.connect();
  for (let i = 0; i < 20; i++) await client.ask(`PUT k${i} v`);
  await client.ask("");
  server.signal("SIGKILL");
  await server.status();
  await using again = await ServerProcess.start({ data: server.data });
  using other = await again.connect();
  assertEquals(await other.ask("COUNT"), "200 OK 20");
  await other.ask("\xff");
  await again.stop();
  const [replayed, started, stopped, ...others] = again.log.map(eventOf);
  assertEquals(others, []);
  assertMatch(replayed!, /^info {2}The log was read records=20 seconds=[\d.e-]+$/);
  assertMatch(
    started!,
    /^info {2}Keyline has started version=\S+ deno=\S+ pid=\d+ host=127\.0\.0\.1 /,
  );
  const kept = `read:${server.data},sys:statfs`;
  assertMatch(started!, / keys=20 .* tls=false password=false permissions=\S+$/);
  assert(started!.endsWith(` permissions=${kept}`), started);
  assertMatch(
    stopped!,
    /^info {2}Keyline has stopped seconds=\d+ connections=1 refused=0 requests=1 /,
  );
});

testServer("with --log json a start that fails is told as JSON", async () => {
  await using taken = await ServerProcess.start({ args: ["--memory"] });
  const args = ["--log", "json", "--memory", "--port", String(taken.port)];
  const { code, stdout, stderr } = await runServer(args);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(JSON.parse(stderr).event, /^Keyline: Cannot listen on/);
});

testServer("refused clients are told by their number, and by where they come from", async () => {
  await using server = await ServerProcess.start({
    args: ["--memory", "--max-connections", "1"],
  });
  using client = await server.connect();
  await client.ask("COUNT");
  for (let i = 0; i < 5; i++) {
    using other = await server.connect();
    await other.rest();
  }
  await eventually("it is told", () => server.output.includes("Clients were refused"));
  const lines = server.log.filter((line) => line.includes("refused,"));
  assertEquals(lines.length, 1);
  const from = /warn {2}A client was refused from=127\.0\.0\.1 count=\d$/;
  await eventually("it has the host", () => server.log.some((line) => from.test(line)));
});
