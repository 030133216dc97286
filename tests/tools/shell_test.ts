/**
 * The shell, on a real terminal and with piped input.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect } from "../../client/client.ts";
import { shownReply, valueReply } from "../../tools/shell_reply.ts";
import { Words } from "../../tools/shell_words.ts";
import { ServerProcess, tempFolder, testWith, testWithProgram } from "../support/harness.ts";
import { Terminal } from "./terminal.ts";
import { argumentsOf, runTool } from "./tool.ts";

const ALL = ["net", "read", "write", "run", "env"] as const;

/** A server, a home folder, and what starts the shell in it. */
async function withShell(
  fn: (parts: { server: ServerProcess; command: string; home: string }) => Promise<void>,
  { password }: { password?: string } = {},
): Promise<void> {
  const env = password === undefined ? {} : { KEYLINE_PASSWORD: password };
  await using server = await ServerProcess.start({ args: ["--memory"], env });
  const home = tempFolder();
  try {
    const deno = [Deno.execPath(), ...argumentsOf("shell"), "--port", String(server.port)];
    await fn({ server, home, command: `HOME=${home} ${deno.join(" ")}` });
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
}

/** Defines a test with the shell on a terminal. */
function terminalTest(
  name: string,
  fn: (terminal: Terminal, parts: { server: ServerProcess; home: string }) => Promise<void>,
  { rows = 24 } = {},
): void {
  testWithProgram("tmux", name, () =>
    withShell(async ({ server, home, command }) => {
      await using terminal = await Terminal.start(command, { rows });
      await terminal.see(/127\.0\.0\.1:\d+>/);
      await fn(terminal, { server, home });
    }));
}

terminalTest(
  "what is typed is sent, and its reply shown with its time and in color",
  async (terminal) => {
    await terminal.type("PUT greeting hello world");
    await terminal.press("Enter");
    await terminal.see(/200 OK {2}\([\d.]+ ms\)/);
    await terminal.type("GET none");
    await terminal.press("Enter");
    await terminal.see(/404 NOT FOUND/);
    const colored = await terminal.screen({ colors: true });
    assertStringIncludes(colored, "\x1b[32m200");
    assertStringIncludes(colored, "\x1b[33m404");
    await terminal.press("C-d");
    await terminal.see(/ended with 1/);
  },
);

terminalTest(
  "missing arguments are shown while one types, and go once they are typed",
  async (terminal) => {
    await terminal.type("PUT");
    await terminal.see(/> PUT key value/);
    await terminal.type(" a");
    await terminal.see(/> PUT a value/);
    await terminal.type(" v");
    await terminal.see(/> PUT a v *$/m);
    await terminal.press("Enter");
    assertMatch(await terminal.see(/200 OK/), /> PUT a v *\n/);
    await terminal.type("KEYS");
    await terminal.see(/> KEYS \[prefix \[after\]\]/);
    await terminal.press("Enter");
    assertMatch(await terminal.see(/200 OK 1/), /> KEYS *\n/);
  },
);

terminalTest("Tab completes verbs from HELP, and keys by their prefix", async (terminal) => {
  await terminal.type("pu");
  await terminal.press("Tab");
  await terminal.see(/> put key value/);
  await terminal.type("session:4f1a ann");
  await terminal.press("Enter");
  await terminal.see(/> put session:4f1a ann *\n200 OK/);
  await terminal.type("GET sess");
  await terminal.press("Tab");
  await terminal.see(/> GET session:4f1a/);
  await terminal.press("Enter");
  await terminal.see(/200 OK ann/);
});

terminalTest(
  "typed lines come back, in the next run too, but not a password",
  async (terminal, { home, server }) => {
    for (const line of ["PUT a 1", "AUTH open sesame", "GET a"]) {
      await terminal.type(line);
      await terminal.press("Enter");
    }
    await terminal.see(/200 OK 1/);
    await terminal.press("Up", "Up");
    await terminal.see(/> PUT a 1 *\n*$/);
    await terminal.press("C-c", "C-d");
    await terminal.see(/ended with 0/);
    const file = `${home}/.keyline_history`;
    assertEquals(Deno.readTextFileSync(file), "PUT a 1\nGET a\n");
    assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
    const deno = [Deno.execPath(), ...argumentsOf("shell"), "--port", String(server.port)];
    await using next = await Terminal.start(`HOME=${home} ${deno.join(" ")}`);
    await next.see(/:\d+>/);
    await next.press("Up");
    await next.see(/> GET a/);
  },
);

terminalTest("a long reply is shown a page at a time", async (terminal, { server }) => {
  await using db = await connect({ port: server.port });
  await db.putMany(Array.from({ length: 30 }, (_, i) => [`key${10 + i}`, "v"]));
  await terminal.type("KEYS");
  await terminal.press("Enter");
  const first = await terminal.see(/-- more/);
  assert(!first.includes("key25"));
  await terminal.press("Space");
  await terminal.see(/key25[^]*-- more/);
  await terminal.press("q");
  await terminal.see(/200 OK 30[^]*>/);
  assert(!(await terminal.screen()).includes("key39"));
  await terminal.type("COUNT");
  await terminal.press("Enter");
  await terminal.see(/200 OK 30[^]*COUNT[^]*200 OK 30/);
}, { rows: 10 });

terminalTest(
  "a line separator is a character of a value, typed or from the history",
  async (terminal, { server }) => {
    await using db = await connect({ port: server.port });
    await db.put("other", "stays");
    const value = "a\u2028DELETE other\u2029DELETE other";
    await terminal.type(`PUT k ${value}`);
    await terminal.press("Enter");
    await terminal.see(/200 OK/);
    assertEquals(await db.getMany(["k", "other"]), [value, "stays"]);
    await db.delete("k");
    await terminal.press("Up", "Enter");
    await terminal.see(/200 OK[^]*200 OK/);
    assertEquals(await db.getMany(["k", "other"]), [value, "stays"]);
  },
);

testWithProgram(
  "tmux",
  "a terminal that can't move its cursor has a prompt, and no pages",
  () =>
    withShell(async ({ server, command }) => {
      await using db = await connect({ port: server.port });
      await db.putMany(Array.from({ length: 30 }, (_, i) => [`key${10 + i}`, "v\u009b2J"]));
      await using terminal = await Terminal.start(`TERM=dumb ${command}`, { rows: 10 });
      await terminal.see(/\d+>/);
      await terminal.type("KEYS");
      await terminal.press("Enter");
      await terminal.see(/key39\n200 OK 30\n127.*>/);
      await terminal.type("GET key10");
      await terminal.press("Enter");
      await terminal.see(/200 OK v\\u009b2J\n127.*>/);
      await terminal.press("C-d");
      await terminal.see(/ended with 0/);
    }),
);

terminalTest("a server that ends does not end the shell", async (terminal, { server }) => {
  await server.stop("SIGKILL");
  await terminal.type("GET a");
  await terminal.press("Enter");
  // It waits for the server to come back, and says so; Ctrl-C is for who does not.
  await terminal.see(/Waiting for a reply\. Ctrl-C stops waiting\./);
  await terminal.press("C-c");
  assert(!(await terminal.see(/The request was aborted/)).includes("Waiting"));
  await terminal.press("C-d");
  await terminal.see(/ended with 3/);
});

testWithProgram(
  "tmux",
  "a password is asked for, and not shown",
  () =>
    withShell(async ({ command }) => {
      await using terminal = await Terminal.start(`${command} --password`);
      await terminal.see(/Password:/);
      await terminal.type("open sesame");
      await terminal.press("Enter");
      await terminal.see(/\d+>/);
      await terminal.type("COUNT");
      await terminal.press("Enter");
      assert(!(await terminal.see(/200 OK 0/)).includes("sesame"));
      await using other = await Terminal.start(`${command} --password`);
      await other.see(/Password:/);
      await other.type("wrong");
      await other.press("Enter");
      await other.see(/401 UNAUTHORIZED[^]*ended with 2/);
    }, { password: "open sesame" }),
);

testWith(ALL, "piped lines are answered as telnet would show it", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const args = ["--port", String(server.port)];
  const input = "PUT a 1\r\nGET a\nKEYS\n\nQUIT\nPUT b 2\n";
  const { code, stdout, stderr } = await runTool("shell", { args, input });
  assertEquals([code, stdout, stderr], [0, "200 OK\n200 OK 1\n200-a\n200 OK 1\n", ""]);
  const many = Array.from({ length: 5_000 }, (_, i) => `PUT key${i} v\n`).join("");
  const last = await runTool("shell", { args, input: `${many}COUNT` });
  assertMatch(last.stdout, /^(200 OK\n){5000}200 OK 5001\n$/);
});

testWith(ALL, "a piped line that is not UTF-8, or endless, is not sent", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const args = ["--port", String(server.port)];
  const input = [
    ...new TextEncoder().encode("PUT a 1\nPUT b "),
    ...[0xff, 0x0a],
    ...new TextEncoder().encode("PUT c \ufffd\nKEYS\n"),
  ];
  const { code, stdout, stderr } = await runTool("shell", { args, input: new Uint8Array(input) });
  assertEquals([code, stdout], [2, "200 OK\n200 OK\n200-a\n200-c\n200 OK 2\n"]);
  assertEquals(stderr, "keyline shell: Line 2 is not UTF-8\n");
  const endless = await runTool("shell", { args, input: `PUT d ${"v".repeat(67_200_000)}\nCOUNT` });
  assertEquals([endless.code, endless.stdout], [2, "200 OK 2\n"]);
  assertMatch(endless.stderr, /Line 1 is longer than/);
});

testWithProgram(
  "tmux",
  "a server that wants a password says so before the first prompt",
  () =>
    withShell(async ({ command }) => {
      await using terminal = await Terminal.start(command);
      await terminal.see(/The server wants a password[^]*\d+> *\n*$/);
      await terminal.press("C-d");
      await terminal.see(/ended with 0/);
    }, { password: "open sesame" }),
);

testWith(ALL, "the exit code is that of the worst reply", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const args = ["--port", String(server.port)];
  const cases = [["COUNT", 0], ["GET a\nCOUNT", 1], ["NONE\nGET a", 2], ["GET\n", 2]] as const;
  for (const [input, expected] of cases) {
    assertEquals((await runTool("shell", { args, input })).code, expected, input);
  }
  const refused = await runTool("shell", { args, input: "GET a\x1b[2J\nCOUNT\n" });
  assertEquals([refused.code, refused.stdout], [2, "200 OK 0\n"]);
  const none = await runTool("shell", { args: ["--port", "1"], input: "COUNT\n" });
  assertEquals(none.code, 3);
});

/** Runs the shell with one request. */
async function ask(port: number, ...request: string[]): Promise<[number, string, string]> {
  const { code, stdout, stderr } = await runTool("shell", {
    args: ["--port", String(port), ...request],
    env: { KEYLINE_PASSWORD: "" },
  });
  return [code, stdout, stderr];
}

testWith(ALL, "one request prints what it asks for, and nothing around it", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const { port } = server;
  assertEquals(await ask(port, "PUT", "a", "hello  world", "--port", "1"), [0, "OK\n", ""]);
  assertEquals(await ask(port, "GET", "a"), [0, "hello  world --port 1\n", ""]);
  assertEquals(await ask(port, "get a"), [0, "hello  world --port 1\n", ""]);
  assertEquals(await ask(port, "COUNT"), [0, "1\n", ""]);
  assertEquals(await ask(port, "KEYS"), [0, "a\n", ""]);
  assertEquals(await ask(port, "keys", "none"), [0, "", ""]);
  assertEquals(await ask(port, "KEYS", "none*"), [0, "", "0; a prefix needs no star\n"]);
  assertEquals(await ask(port, "CLIENTS", "999"), [0, "", ""]);
  const [code, stats, note] = await ask(port, "STATS");
  assertEquals([code, note], [0, ""]);
  assertMatch(stats, /^version \S+\n(\S+ .+\n)+keys 1\n(\S+ .+\n)+$/);
});

testWith(
  ALL,
  "one request that fails prints nothing but why, and its exit code tells",
  async () => {
    await using server = await ServerProcess.start({
      args: ["--max-line", "64", "--disable", "clear"],
      env: { KEYLINE_PASSWORD: "sesame" },
    });
    const { port } = server;
    assertEquals(await ask(port, "GET", "a"), [2, "", "401 UNAUTHORIZED\n"]);
    const env = { KEYLINE_PASSWORD: "sesame" };
    const cases: readonly (readonly [request: string[], code: number, why: RegExp])[] = [
      [["GET", "a"], 1, /^404 NOT FOUND\n$/],
      [["INCR", "a", "x"], 2, /^400 BADREQUEST .*\n$/],
      [["CLEAR"], 2, /^220 UNSUPPORTED\n$/],
      [["PUT", "a", "v".repeat(64)], 2, /^400 BADREQUEST line too long\n$/],
      [["PUT", "a", "1\nDELETE a"], 2, /^keyline shell: .*\n$/],
    ];
    for (const [request, code, why] of cases) {
      const args = ["--port", String(port), ...request];
      const outcome = await runTool("shell", { args, env });
      assertEquals([outcome.code, outcome.stdout], [code, ""], request.join(" "));
      assertMatch(outcome.stderr, why);
    }
    const wrong = await runTool("shell", {
      args: ["--port", String(port), "GET", "a"],
      env: { KEYLINE_PASSWORD: "open" },
    });
    assertEquals([wrong.code, wrong.stdout], [2, ""]);
    await server.stop("SIGKILL");
    const [code, stdout, stderr] = await ask(port, "GET", "a");
    assertEquals([code, stdout], [3, ""]);
    assertMatch(stderr, /^keyline shell: .*\n$/);
  },
);

Deno.test("the value that one request prints is as it was stored, unless a terminal is there", () => {
  const line = "GET a";
  const reply = { code: 200, text: "OK  a \x1b[2J\t", lines: [] };
  assertEquals(valueReply(reply, { line, isTerminal: false }).text, " a \x1b[2J\t\n");
  assertEquals(valueReply(reply, { line, isTerminal: true }).text, " a \\u001b[2J\t\n");
  const page = { code: 200, text: "OK 2 more", lines: ["a", "b"] };
  const printed = { text: "a\nb\n", note: "2 more\n", code: 0 };
  assertEquals(valueReply(page, { line: "KEYS", isTerminal: false }), printed);
  const failed = { code: 500, text: "ERROR \x1b[2J", lines: [] };
  const note = "500 ERROR \\u001b[2J\n";
  assertEquals(valueReply(failed, { line, isTerminal: false }), { text: "", note, code: 3 });
});

Deno.test("nothing that a server sends acts on the terminal", () => {
  const reply = { code: 200, text: "OK \x1b]0;title\x07", lines: ["\x1b[1m"] };
  const shown = shownReply(reply, { hasColors: false, milliseconds: 1.234 });
  assertEquals(shown, ["200-\\u001b[1m", "200 OK \\u001b]0;title\\u0007  (1.23 ms)"]);
});

testWith(ALL, "hints name what is missing, and only that", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  await using db = await connect({ port: server.port });
  const words = await Words.of(db);
  const hints = {
    "": "",
    "PUT": " key value",
    "put ": "key value",
    "PUT k": " value",
    "PUT k ": "value",
    "PUT k a value": "",
    "INCR n": " [by]",
    "KEYS": " [prefix [after]]",
    "KEYS a": " [after]",
    "KEYS a ": "[after]",
    "NONE": "",
    "COUNT": "",
  };
  for (const [line, hint] of Object.entries(hints)) assertEquals(words.hint(line), hint, line);
  await db.put("*star", "v");
  assertEquals(await words.complete("GE", db), [["GET ", "GETS "], "GE"]);
  assertEquals(await words.complete("help in", db), [["incr "], "in"]);
  assertEquals(await words.complete("GET *", db), [["*star"], "*"]);
  assertEquals(await words.complete("PUT k v", db), [[], "v"]);
});
