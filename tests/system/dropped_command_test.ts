/**
 * Adding an operation is adding a file: some are dropped into a copy of the project. One works, handlers
 * that fail cost a 500 and no more, and a file that is no operation stops the start.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Client } from "../support/client.ts";
import { runServer, ServerProcess, testServer } from "../support/harness.ts";
import { ProjectCopy } from "../support/project_copy.ts";
import { eventually } from "../support/waiting.ts";

/** The text of a command file with this handler. */
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

const WITHOUT_HANDLER =
  `export default { summary: "Serve a test", arity: ["key"], replies: { 200: "it is done" } };`;

/** Files to drop into commands/, whose handlers do what handlers may, and what they should not. */
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

testServer("a file in commands/ is an operation", async (t) => {
  using project = new ProjectCopy(DROPPED);
  const { root } = project;
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
    assertEquals(await client.line(), "404 NOT FOUND", "the reply before it leaves at once");
    assertEquals(await other.ask("GET late"), "404 NOT FOUND", "while it runs");
    assertEquals([await client.line(), await client.line()], ["200 OK a", "200 OK a"]);
  });
});

testServer("a bad file in commands/ stops the start", async () => {
  using project = new ProjectCopy({ "bad.ts": WITHOUT_HANDLER });
  const { root } = project;
  const { code, stdout, stderr } = await runServer(["--memory", "--port", "0"], { root });
  assertEquals([code, stdout], [1, ""]);
  const mend = "Add handler(args, context) { … }.";
  const why = "its handler is missing or not a function";
  assertEquals(stderr, `Keyline: Cannot load commands/bad.ts: ${why}. ${mend}\n`);
});

/** Sends a request that fails among others; it alone is 500, and it has changed nothing. */
async function failsAlone(client: Client, request: string): Promise<void> {
  await client.send(`PUT kept 1\r\n${request}\r\nGET half\r\nGET kept\r\n`);
  const replies = [];
  for (let i = 0; i < 4; i++) replies.push(await client.line());
  const expected = ["200 OK", "500 ERROR internal error", "404 NOT FOUND", "200 OK 1"];
  assertEquals(replies, expected, request);
}

/** The log has a pipe of its own, so it may arrive a little later than the reply. */
async function isLogged(server: ServerProcess, pattern: RegExp): Promise<void> {
  await eventually(`it logs ${pattern}`, () => pattern.test(server.output));
}
