/**
 * Nothing that comes from a server or a source acts on the terminal, whichever way it takes there.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect } from "../../client/client.ts";
import { Meter } from "../../tools/progress.ts";
import { printable, quoted } from "../../tools/printable.ts";
import { entryOf, lineOf } from "../../tools/export_line.ts";
import { Words } from "../../tools/shell_words.ts";
import { ServerProcess, testServer, testWith, testWithProgram } from "../support/harness.ts";
import { hear, say, startFake } from "./fake_source.ts";
import { utf8 } from "./other_server.ts";
import { Terminal } from "./terminal.ts";
import { argumentsOf, runTool } from "./tool.ts";

/** What acts on a terminal, by the properties of Unicode. */
const ACTS = /(?!\t)[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}]/u;
/** A bell, a sequence by ESC and one by C1, a title, a turn of direction, an end of a line. */
const HOSTILE = "\x07\x1b[2J\u009b2J\u009d0;title\u009c\u202eabc\u2028d";
const SHOWN = "\\u0007\\u001b[2J\\u009b2J\\u009d0;title\\u009c\\u202eabc\\u2028d";

Deno.test("what acts on a terminal is written as JSON would, and nothing else is changed", () => {
  assertEquals(printable(HOSTILE), SHOWN);
  assertEquals(JSON.parse(`"${printable("\u009b\u202e")}"`), "\u009b\u202e");
  for (let code = 0; code <= 0x10ffff; code++) {
    const character = String.fromCodePoint(code);
    const shown = printable(character);
    if (ACTS.test(character)) assertEquals(shown, `\\u${code.toString(16).padStart(4, "0")}`);
    else assert(shown === character, `U+${code.toString(16)}`);
  }
});

Deno.test("a line of an export has nothing that acts on a terminal, and is the same entry", () => {
  const entry = { key: "\u009b\u202ek", value: `\t${HOSTILE.replace("\x07\x1b", "")}` };
  const line = lineOf(entry);
  assert(!ACTS.test(line.trimEnd()), line);
  assertEquals(entryOf(line), entry);
});

Deno.test("a line for a person has nothing that acts on a terminal", () => {
  const written: string[] = [];
  using meter = new Meter({ unit: "keys", screen: { write: (text) => written.push(text) } });
  meter.note(HOSTILE);
  assertEquals(written, [`${SHOWN}\n`]);
});

Deno.test("what HELP says of verbs, and keys that act on a terminal, are not offered as they are", async () => {
  const page = { code: 200, text: "OK 2", lines: ["good", "go\u009bod"] };
  const db = {
    request: () => Promise.resolve({ ...page, lines: [`GE\u009bT key`, `GET key ${HOSTILE}  x`] }),
    async *keys() {
      yield* page.lines;
    },
  } as unknown as Parameters<typeof Words.of>[0];
  const words = await Words.of(db);
  const [verbs] = await words.complete("GE", db);
  const shown = [...verbs, words.hint("GET"), words.hint("GE\u009bT")].join("");
  assert(!ACTS.test(shown), JSON.stringify(shown));
  assertEquals(await words.complete("GET go", db), [["good"], "go"]);
});

testWithProgram("bash", "a key is quoted as one word that is that key, and acts on nothing", () => {
  for (const key of ["a", "a b", "it's", "$HOME", "\\", `\u009b'"\\1`, HOSTILE, "ä€𝄞\u202e"]) {
    const word = quoted(key);
    assert(!ACTS.test(word), word);
    const { stdout } = new Deno.Command("bash", {
      args: ["-c", `printf %s ${word}`],
      env: { LC_ALL: "C" },
    }).outputSync();
    assertEquals(new TextDecoder().decode(stdout), key);
  }
});

/** A server whose reply to the password, or to COUNT, is an error with a text of its own. */
function fakeKeyline() {
  return startFake(async (conn) => {
    await hear(conn, "\r\nAUTH");
    await say(conn, `404 NOT FOUND\r\n401 ${utf8(HOSTILE)}\r\n`);
    await hear(conn, "more than it says");
  });
}

testServer("an error of a server does not act on the terminal", async () => {
  for (const task of ["export", "import", "shell"] as const) {
    await using server = fakeKeyline();
    const env = { KEYLINE_PASSWORD: "open sesame" };
    const args = ["--port", String(server.port)];
    const { stderr } = await runTool(task, { args, env });
    assert(!ACTS.test(stderr.replaceAll("\n", "")), JSON.stringify(stderr));
    assertStringIncludes(stderr, SHOWN);
  }
});

testServer("an error of a source does not act on the terminal, nor does a key", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  const importFrom = async (url: string) => {
    const args = ["--port", String(server.port), "--from", url];
    const { stderr } = await runTool("import", { args });
    assert(!ACTS.test(stderr.replaceAll("\n", "")), JSON.stringify(stderr));
    return stderr;
  };
  await using redis = startFake(async (conn) => {
    await hear(conn, "DBSIZE");
    await say(conn, ":1\r\n");
    await hear(conn, "SCAN");
    await say(conn, `*2\r\n$1\r\n0\r\n*1\r\n$6\r\n${utf8("k \u202e")}x\r\n`);
    await hear(conn, "STRLEN");
    await say(conn, "-ERR \x9b2J\r\n");
  });
  const named = await importFrom(`redis://127.0.0.1:${redis.port}`);
  assertStringIncludes(named, 'Left out "k \\u202ex": redis refuses STRLEN: ERR \\u009b2J\n');
  await using refusing = startFake(async (conn) => {
    await hear(conn, "DBSIZE");
    await say(conn, "-ERR \x9b2J\r\n");
  });
  assertMatch(await importFrom(`redis://127.0.0.1:${refusing.port}`), /: ERR \\u009b2J\n/);
});

testServer("an error of an admin port does not act on the terminal", async () => {
  await using admin = startFake(async (conn) => {
    await hear(conn, "\r\n\r\n");
    await say(conn, `HTTP/1.1 500 no\r\nContent-Length: 5\r\n\r\n${utf8("\u009b2J")}x`);
    await hear(conn, "more than it says");
  });
  const { stderr } = await runTool("top", { args: ["--admin", String(admin.port)] });
  assertMatch(stderr, /answers 500: \\u009b2J/);
});

testWith(
  ["net", "read", "write", "run", "env"],
  "a reply to a pipe is what the server sent",
  async () => {
    await using server = await ServerProcess.start({ args: ["--memory"] });
    await using db = await connect({ port: server.port });
    await db.put("k", "\u009b2J");
    const args = ["--port", String(server.port)];
    assertEquals((await runTool("shell", { args, input: "GET k\n" })).stdout, "200 OK \u009b2J\n");
  },
);

testWithProgram("tmux", "a reply to a line from a pipe does not act on the terminal", async () => {
  await using server = await ServerProcess.start({ args: ["--memory"] });
  await using db = await connect({ port: server.port });
  await db.put("k", "\u009b2J\u202e");
  const shell = [Deno.execPath(), ...argumentsOf("shell"), "--port", String(server.port)].join(" ");
  await using terminal = await Terminal.start(`echo GET k | ${shell}`);
  await terminal.see(/200 OK \\u009b2J\\u202e\n/);
});
