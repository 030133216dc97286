/**
 * Top: on a terminal it is a screen that goes away again, elsewhere a line a second.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Frame } from "../../admin/frame.ts";
import { plainLine, Top } from "../../tools/top_screen.ts";
import { AdminServer } from "../admin/admin_server.ts";
import { testServer, testWithProgram } from "../support/harness.ts";
import { Terminal } from "./terminal.ts";
import { argumentsOf, runTool, startTool } from "./tool.ts";

testWithProgram(
  "tmux",
  "on a terminal the figures come, and Ctrl-C gives the screen back",
  async () => {
    await using server = await AdminServer.start();
    using client = await server.process.connect();
    await client.ask("PUT a 1");
    const command = ["deno", ...argumentsOf("top"), "--admin", String(server.port)].join(" ");
    await using terminal = await Terminal.start(`echo before; ${command}`);
    await terminal.see(/^Keyline \S+, table in .*\n\nrequests\/s +\d/m);
    await terminal.see(/^disk +\S+ MiB +disk reads\/s +\d/m);
    for (let i = 0; i < 200; i++) await client.ask("GET a");
    await terminal.see(/^GET +[\d.k ]+ .*s$/m);
    assert(!(await terminal.screen()).includes("before"));
    await terminal.press("C-c");
    const after = await terminal.see(/ended with 0/);
    assertMatch(after, /^before\n/);
    assert(!after.includes("requests/s"), after);
  },
);

/** How top may be ended. */
const ENDS: Record<string, (terminal: Terminal) => Promise<void>> = {
  "q": (terminal) => terminal.press("q"),
  "Ctrl-C after the terminal was resized": async (terminal) => {
    await terminal.resize(100, 30);
    // Wider than before: it is drawn again.
    await terminal.see(/^Keyline \S+, table in .*\n\nrequests\/s/m);
    await terminal.press("C-c");
  },
  "Ctrl-C twice": (terminal) => terminal.press("C-c", "C-c"),
  "a signal": async (terminal) => {
    // The shell of the terminal runs top as its only child.
    const shell = await terminal.processId();
    const children = `/proc/${shell}/task/${shell}/children`;
    const { stdout } = new Deno.Command("cat", { args: [children] }).outputSync();
    Deno.kill(Number(new TextDecoder().decode(stdout)), "SIGTERM");
  },
};

for (const [what, end] of Object.entries(ENDS)) {
  testWithProgram("tmux", `on a terminal, ${what} ends it and gives the screen back`, async () => {
    await using server = await AdminServer.start({ args: ["--memory"] });
    const command = [Deno.execPath(), ...argumentsOf("top"), "--admin", String(server.port)];
    await using terminal = await Terminal.start(`echo before; ${command.join(" ")}`);
    await terminal.see(/^Keyline \S+, table in memory/m);
    await end(terminal);
    const after = await terminal.see(/ended with 0/);
    assertMatch(after, /^before\n/);
    assert(!after.includes("requests/s"), after);
    assertStringIncludes(await terminal.flags(), "cursor_flag=1 alternate_on=0");
  });
}

testWithProgram(
  "tmux",
  "on a terminal it says that the server is gone, and finds it again",
  async () => {
    const server = await AdminServer.start({ args: ["--memory"] });
    const command = ["deno", ...argumentsOf("top"), "--admin", String(server.port)].join(" ");
    await using terminal = await Terminal.start(command);
    await terminal.see(/^Keyline \S+, table in memory/m);
    const { port } = server;
    await server[Symbol.asyncDispose]();
    await terminal.see(/CONNECTION LOST/);
    await using _again = await AdminServer.start({ args: ["--memory", "--admin", String(port)] });
    await terminal.see(/^Keyline \S+, table in memory/m);
  },
);

testWithProgram(
  "tmux",
  "on a terminal it says that the server is silent",
  async () => {
    await using server = await AdminServer.start({ args: ["--memory"] });
    const command = ["deno", ...argumentsOf("top"), "--admin", String(server.port)].join(" ");
    await using terminal = await Terminal.start(command);
    await terminal.see(/^Keyline \S+, table in memory/m);
    server.process.signal("SIGSTOP");
    await terminal.see(/CONNECTION LOST/);
    server.process.signal("SIGCONT");
    await terminal.see(/^Keyline \S+, table in memory/m);
  },
);

testWithProgram("tmux", "on a terminal, Ctrl-C ends it while it waits for an answer", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const command = ["deno", ...argumentsOf("top"), "--admin", String(listener.addr.port)].join(" ");
  await using terminal = await Terminal.start(command);
  using _connection = await listener.accept();
  await terminal.press("C-c");
  assertMatch(await terminal.see(/ended with/), /^\^Cended with 0\n/);
});

testWithProgram("tmux", "on a terminal, q ends it while something is wrong", async () => {
  await using server = await AdminServer.start({ args: ["--memory", "--max-connections", "1"] });
  using _client = await server.process.connect();
  using refused = await server.process.connect();
  assertMatch((await refused.line())!, /^503 /);
  const command = ["deno", ...argumentsOf("top"), "--admin", String(server.port)].join(" ");
  await using terminal = await Terminal.start(command);
  await terminal.see(/^! CLIENTS REFUSED/m);
  await terminal.press("q");
  await terminal.see(/ended with 0/);
});

testServer("elsewhere it prints a line a second, and ends when its reader does", async () => {
  await using server = await AdminServer.start({ args: ["--memory"] });
  const { text, code } = await firstLines(4, { args: ["--admin", String(server.port)] });
  const [head, line] = text.split("\n");
  assertMatch(head!, /^ *time +req\/s +p50 +p99 .*memory {2}wrong$/);
  assertMatch(line!, /^\d\d:\d\d:\d\d +\d.* MiB {2}-$/);
  assert(!text.includes("\u001b"), "no sequences for a terminal");
  assertEquals(code, 1);
});

testServer("it gives the password, and says what is wrong in a line", async () => {
  const env = { KEYLINE_PASSWORD: "open: ö" };
  await using server = await AdminServer.start({ args: ["--memory"], env });
  const args = ["--admin", String(server.port)];
  const without = await runTool("top", { args });
  assertEquals(without.code, 1);
  assertMatch(without.stderr, /^keyline top: The server wants a password: .*\n$/);
  assertMatch((await firstLines(3, { args, env })).text, / MiB {2}-\n/);
  const nobody = await runTool("top", { args: ["--admin", "1"] });
  assertEquals(nobody.code, 1);
  assertStringIncludes(nobody.stderr, "start the server with --admin PORT.\n");
  assertEquals(nobody.stdout, "");
  assertEquals((await runTool("top", { args: ["--admin", "x"] })).code, 2);
});

Deno.test("nothing that a server says of itself reaches the terminal as a command", () => {
  const top = new Top();
  top.server = { version: "\x1b[2J", startedAt: 0, table: "a\r\n\u202e\x9b" };
  const [home, ...rest] = top.draw({ columns: 200, rows: 10 }).split("\u001b");
  assertEquals(home, "");
  assert(rest.every((part) => /^(\[H|\[K|\[J)/.test(part)), JSON.stringify(rest));
});

const FRAME: Frame = {
  at: 100_000,
  operations: {},
  rate: 0,
  latency: null,
  commits: 0,
  commit: null,
  batch: null,
  received: 0,
  sent: 0,
  refused: 0,
  malformed: 0,
  connections: 0,
  keys: 0,
  memory: 1,
  disk: null,
  diskReads: null,
  loopDelay: null,
  slow: [],
  alerts: [],
};

Deno.test("what is wrong stands at the top of the screen, and at the end of a line", () => {
  const top = new Top();
  top.add(FRAME);
  assert(!top.draw({}).includes("!"));
  const alerts = [{ name: "disk full", since: 40_000 }, {
    name: "requests \x1b[2J",
    since: 99_000,
  }];
  const frame = { ...FRAME, alerts };
  top.add(frame);
  const [, first, second] = top.draw({}).replaceAll(/\p{Cc}\[[A-Z]/gu, "").split("\r\n");
  assertMatch(first!, /^! DISK FULL for 1 min/);
  assertMatch(second!, /^! REQUESTS \\u001b\[2J for 1 s$/);
  assertMatch(plainLine(frame), / {2}disk full, requests \\u001b\[2J\n$/);
  assertMatch(plainLine(FRAME), / {2}-\n$/);
});

Deno.test("a screen is never larger than the terminal", () => {
  const top = new Top();
  for (const [columns, rows] of [[80, 24], [20, 5], [1, 1]] as const) {
    const lines = top.draw({ columns, rows }).replaceAll(/\p{Cc}\[./gu, "").split("\r\n").slice(
      0,
      -1,
    );
    assert(lines.length < rows || rows === 1 && lines.length === 0);
    assert(lines.every((line) => line.length <= columns));
  }
});

/** Runs top until it has printed so many lines, then closes its output; returns them, and its exit code. */
async function firstLines(
  count: number,
  options: { args: readonly string[]; env?: Record<string, string> },
): Promise<{ text: string; code: number }> {
  const top = startTool("top", options);
  const reader = top.child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (text.split("\n").length < count) text += (await reader.read()).value ?? "";
  await reader.cancel();
  await top.closeInput();
  const [{ code }, stderr] = await Promise.all([
    top.child.status,
    new Response(top.child.stderr).text(),
  ]);
  assertEquals(stderr, "");
  return { text, code };
}
