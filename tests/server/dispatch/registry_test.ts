/**
 * Adding an operation is adding a file: one is dropped into a copy of the project, and works. Files
 * that are no operation stop the start with a message that says how to mend them; handlers that
 * fail cost a 500 and no more.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../../../server/settings.ts";
import { BadCommandError, loadCommands, Registry } from "../../../server/dispatch/registry.ts";
import {
  type Client,
  ROOT,
  runServer,
  ServerProcess,
  tempFolder,
  testServer,
  testWith,
} from "../../support/harness.ts";

/** All that a server is started from. */
const PROJECT = [
  "main.ts",
  "deno.json",
  "server",
  "commands",
  "tables",
  "client",
  "tools",
  "offline",
];

/** What a command file looks like, with this handler. */
function commandFile(handler: string, arity = `["key"]`): string {
  return `
    import type { Command, Text } from "../server/command.ts";
    import { ok } from "../server/reply.ts";

    export default {
      summary: "Serve a test",
      arity: ${arity},
      replies: { 200: "it is done" },
      ${handler}
    } satisfies Command<[key: Text]>;
  `;
}

/** Files to drop into commands/, whose handlers do what handlers should not, or may. */
const DROPPED = {
  "reverse.ts": commandFile(
    `handler([key]) { return ok([...String(key)].reverse().join("")); },`,
  ),
  "fail.ts": commandFile(
    `handler([key], { table }) {
      table.put(key, "half done");
      table.delete("kept");
      throw new Error("a mistake in fail.ts");
    },`,
  ),
  "late.ts": commandFile(
    `async handler([key], { table }) {
      const value = String(key);
      await new Promise((resolve) => setTimeout(resolve, 200));
      table.put("late", value);
      return ok(value);
    },`,
  ),
  "reject.ts": commandFile(
    `async handler([key]) {
      const { length } = key;
      await new Promise((resolve) => setTimeout(resolve, 10));
      throw new Error("a mistake in reject.ts: " + length);
    },`,
  ),
  "nothing.ts": commandFile(`handler([key], { table }) { table.put(key, "half done"); },`),
  "latenothing.ts": commandFile(`async handler() {},`),
  "text.ts": commandFile(`handler() { return "200 OK"; },`),
};

/** The fields of a good command file, to leave one out or change it. */
const FIELDS = {
  summary: `"Serve a test"`,
  arity: `["key"]`,
  replies: `{ 200: "it is done" }`,
  handler: "() => {}",
};

/** Each file name with a text, and what the message about it must say beside its name. */
const BAD_FILES: readonly (readonly [file: string, text: string, message: string])[] = [
  ["none.ts", `export const handler = 1;`, "it has no default export. Add `export default {"],
  ["none.ts", `export default null;`, "it has no default export. Add"],
  ["none.ts", `export default "GET";`, "it has no default export. Add"],
  ["nosummary.ts", without("summary"), "its summary is missing. Add summary:"],
  ["nosummary.ts", withField("summary", `""`), "its summary is missing. Add summary:"],
  ["nosummary.ts", withField("summary", "1"), "its summary is missing. Add summary:"],
  ["noarity.ts", without("arity"), "its arity is missing or not a list of names. Add arity:"],
  ["noarity.ts", withField("arity", `"key"`), "its arity is missing or not a list of names. Add"],
  ["noarity.ts", withField("arity", "[1]"), "its arity is missing or not a list of names. Add"],
  ["noarity.ts", withField("arity", `["Key"]`), `its arity has "Key": use "name", "name?" or`],
  ["noarity.ts", withField("arity", `["v...", "key"]`), `its arity has "v..." before its end`],
  ["noarity.ts", withField("arity", `["a?", "key"]`), `its arity has "key" after an optional`],
  ["noreplies.ts", without("replies"), "its replies are missing. Add replies:"],
  ["noreplies.ts", withField("replies", "7"), "its replies are missing. Add replies:"],
  ["nohandler.ts", without("handler"), "its handler is missing or not a function. Add handler("],
  ["nohandler.ts", withField("handler", "{}"), "its handler is missing or not a function. Add"],
  ["badopen.ts", withField("open", `"yes"`), "its open is not true. Write"],
  ["broken.ts", "export default {", "it does not load. Mend what it says:"],
  ["broken.ts", `import "./nosuch.ts";`, "it does not load. Mend what it says:"],
  ["broken.ts", `throw new Error("thrown at import");`, "thrown at import"],
  ["get2.ts", without(""), "its name is not a verb. Name it in lower-case letters"],
  ["-x.ts", without(""), "its name is not a verb. Name it in lower-case letters"],
  ["get.js", without(""), "its name is not a verb. Name it in lower-case letters"],
  ["get.ts.bak", without(""), "its name is not a verb. Name it in lower-case letters"],
  [
    "README.md",
    "# Commands",
    "its name is not a verb. Name it in lower-case letters, as in get.ts",
  ],
];

function withField(name: string, value: string): string {
  const fields = Object.entries({ ...FIELDS, [name]: value });
  return `export default { ${fields.map(([name, value]) => `${name}: ${value}`).join(", ")} };`;
}

function without(name: string): string {
  const fields = Object.entries(FIELDS).filter(([field]) => field !== name);
  return `export default { ${fields.map(([name, value]) => `${name}: ${value}`).join(", ")} };`;
}

testServer(
  "a file in commands/ is an operation",
  async (t) => {
    const root = copyProject(DROPPED);
    try {
      await using server = await ServerProcess.start({ root, args: ["--memory"] });
      const step = (name: string, run: (client: Client) => Promise<void>) =>
        t.step(name, async () => {
          using client = await server.connect();
          await run(client);
        });
      await step("it runs, in any case, and the banner counts it", async (client) => {
        assertEquals(await client.ask("REVERSE stressed"), "200 OK desserts");
        assertEquals(await client.ask("reverse stressed"), "200 OK desserts");
        const count = [...Deno.readDirSync(new URL("commands/", root))].length;
        assert(server.output.includes(`, ${count} operations.`), server.output);
      });
      await step("HELP shows it", async (client) => {
        await client.send("HELP\r\nHELP REVERSE\r\n");
        const list = await client.reply();
        assert(list.some((line) => /^200-REVERSE key +Serve a test$/.test(line)), list.join("\n"));
        const help = ["200-REVERSE key", "200-Serve a test", "200-  200: it is done", "200 OK"];
        assertEquals(await client.reply(), help);
      });
      await step("its arguments are checked", async (client) => {
        const usage = "usage: REVERSE key";
        assertEquals(await client.ask("REVERSE"), `400 BADREQUEST too few arguments; ${usage}`);
        assertEquals(
          await client.ask("REVERSE a b"),
          `400 BADREQUEST too many arguments; ${usage}`,
        );
      });
      await step("one that throws costs a 500, is undone, and is logged", async (client) => {
        await failsAlone(client, "FAIL half");
        await isLogged(server, /Cannot answer FAIL: Error: a mistake in fail\.ts/);
        await isLogged(server, /at Object\.handler .*commands\/fail\.ts:\d+/); // its stack
      });
      await step("one that returns nothing costs a 500", async (client) => {
        await failsAlone(client, "NOTHING half");
        await failsAlone(client, "LATENOTHING half");
      });
      await step("one that returns what is no reply costs a 500", async (client) => {
        await failsAlone(client, "TEXT half");
      });
      await step("one that rejects costs a 500, and is logged", async (client) => {
        await failsAlone(client, "REJECT half");
        await isLogged(server, /Cannot answer REJECT: Error: a mistake in reject\.ts: 4/);
      });
      await step("one that answers late keeps its place, and stops no other", async (client) => {
        using other = await server.connect();
        await client.send("GET late\r\nLATE a\r\nGET late\r\n");
        assertEquals(await client.line(), "404 NOT FOUND", "what stands before it leaves at once");
        assertEquals(await other.ask("GET late"), "404 NOT FOUND", "while it runs");
        assertEquals([await client.line(), await client.line()], ["200 OK a", "200 OK a"]);
      });
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  },
);

testServer(
  "a bad file in commands/ stops the start",
  async () => {
    const root = copyProject({ "bad.ts": without("handler") });
    try {
      const { code, stdout, stderr } = await runServer(["--memory", "--port", "0"], { root });
      assertEquals([code, stdout], [1, ""]);
      const mend = "Add handler(args, context) { … }.";
      const why = "its handler is missing or not a function";
      assertEquals(stderr, `Keyline: Cannot load commands/bad.ts: ${why}. ${mend}\n`);
    } finally {
      Deno.removeSync(root, { recursive: true });
    }
  },
);

testWith(
  ["read", "write"],
  "each kind of bad file is told by its name, with the mend",
  async () => {
    for (const [file, text, message] of BAD_FILES) {
      const error = await loadError({ [file]: text });
      assert(error.message.startsWith(`Cannot load commands/${file}: `), error.message);
      assert(error.message.includes(message), `${error.message}\n  lacks ${message}`);
    }
  },
);

testWith(["read", "write"], "two files with one verb are told by both names", async () => {
  const error = await loadError({ "get.ts": without(""), "Get.ts": without("") });
  assert(error.message.includes("has the same verb. Remove or rename one of them."), error.message);
  assert(/get\.ts/.test(error.message) && /Get\.ts/.test(error.message), error.message);
});

testWith(["read", "write"], "a folder in commands/ is told by its name", async () => {
  const folder = tempFolder();
  try {
    Deno.mkdirSync(`${folder}/lib`);
    await assertRejects(() => load(folder), BadCommandError, "Cannot load commands/lib: its name");
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("a registry finds a verb in any case, and no other word", () => {
  const registry = new Registry([["GET", makeCommand()], ["STATS", makeCommand()]]);
  for (const verb of ["GET", "get", "Get", "gEt"]) assertEquals(registry.find(verb)?.verb, "GET");
  for (
    const verb of ["", "GE", "GETS", " GET", "GET ", "ſTATS", "ſtats", "toString", "__proto__"]
  ) {
    assertEquals(registry.find(verb), undefined, verb);
  }
});

Deno.test("a registry lists its operations by verb", () => {
  const registry = new Registry([["PUT", makeCommand()], ["ADD", makeCommand()]]);
  assertEquals([...registry].map(({ verb }) => verb), ["ADD", "PUT"]);
  assertEquals(registry.size, 2);
});

Deno.test("a disabled operation is not offered, but must be a good one", () => {
  const registry = new Registry([["GET", makeCommand()], ["PUT", makeCommand()]], ["PUT"]);
  assertEquals([registry.size, registry.find("PUT"), registry.find("put")], [
    1,
    undefined,
    undefined,
  ]);
  assertThrows(() => new Registry([["PUT", {}]], ["PUT"]), BadCommandError, "commands/put.ts");
});

Deno.test("a verb to disable that is no operation is told", () => {
  const message = "--disable names NOSUCH, which is not an operation";
  assertThrows(() => new Registry([["GET", makeCommand()]], ["NOSUCH"]), UsageError, message);
});

function makeCommand() {
  return { summary: "Serve a test", arity: [], replies: {}, handler: () => undefined };
}

/** A copy of the project in a new folder, with more files in commands/. */
function copyProject(files: Record<string, string>): URL {
  const root = new URL(`file://${tempFolder()}/`);
  for (const name of PROJECT) copy(new URL(name, ROOT), new URL(name, root));
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(new URL(`commands/${name}`, root), text);
  }
  return root;
}

function copy(from: URL, to: URL): void {
  if (Deno.statSync(from).isFile) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    copy(new URL(`${from.href}/${name}`), new URL(`${to.href}/${name}`));
  }
}

/** Loads a folder of these files, and returns what that throws. */
async function loadError(files: Record<string, string>): Promise<BadCommandError> {
  const folder = tempFolder();
  try {
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    return await assertRejects(() => load(folder), BadCommandError);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

async function load(folder: string): Promise<Registry> {
  return new Registry(await loadCommands(new URL(`file://${folder}/`)));
}

/** Sends a request that fails among others; it alone is 500, and it has changed nothing. */
async function failsAlone(client: Client, request: string): Promise<void> {
  await client.send(`PUT kept 1\r\n${request}\r\nGET half\r\nGET kept\r\n`);
  const replies = [];
  for (let i = 0; i < 4; i++) replies.push(await client.line());
  const expected = ["200 OK", "500 ERROR internal error", "404 NOT FOUND", "200 OK 1"];
  assertEquals(replies, expected, request);
}

/** The log comes by a pipe of its own, so it may come a little later than the reply. */
async function isLogged(server: ServerProcess, pattern: RegExp): Promise<void> {
  for (let i = 0; i < 100 && !pattern.test(server.output); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assertMatch(server.output, pattern);
}
