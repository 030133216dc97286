/**
 * What holds for every operation there is, found as the server finds them.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { answer } from "../support/answer.ts";
import { Line } from "../../server/input/line.ts";
import { contextOfAll } from "../support/context.ts";
import { testWith } from "../support/harness.ts";

testWith(["read"], "each operation has a file with its cases", async () => {
  const { registry } = await contextOfAll();
  for (const { verb } of registry) {
    const name = verb.toLowerCase();
    const file = new URL(`${name}_test.ts`, import.meta.url);
    const call = new RegExp(`^testOperation\\(\\{\\s*${name}\\b`, "m");
    let text = "";
    try {
      text = Deno.readTextFileSync(file);
    } catch {
      // It has no file yet.
    }
    assertMatch(text, call, `add cases to tests/commands/${name}_test.ts`);
  }
});

testWith(["read"], "HELP shows each operation once, and each reply of each", async () => {
  const context = await contextOfAll();
  const ask = async (line: string) =>
    (await answer(Line.of(line), context)).wire.split("\r\n").slice(0, -1);
  const lines = await ask("HELP");
  assertEquals(lines.at(-1), "200 OK");
  const rows = lines.slice(0, -1).map((line) => line.replace(/^200-/, "").split(/ {2,}/));
  const operations = [...context.registry];
  assertEquals(rows, operations.map(({ usage, command }) => [usage, command.summary]));
  for (const { verb, usage, command } of operations) {
    const replies = Object.entries(command.replies).map(([code, when]) => `200-  ${code}: ${when}`);
    const expected = [`200-${usage}`, `200-${command.summary}`, ...replies, "200 OK"];
    assertEquals(await ask(`HELP ${verb}`), expected);
  }
});

testWith(
  ["read"],
  "an operation that changes the table or who is connected says so, and no other",
  async () => {
    const { registry } = await contextOfAll();
    for (const { verb, command } of registry) {
      const context = await contextOfAll();
      const { table } = context;
      table.put("key", "41", { expiresAt: Date.now() + 60_000 });
      const version = String(table.entry("key")!.version);
      table.commit();
      let isKilled = false;
      context.clients.add({ ...context.client, id: 1, end: () => void (isKilled = true) });
      const values: Record<string, string> = {
        key: verb === "ADD" ? "new" : "key",
        version,
        seconds: "5",
      };
      const args = command.arity.map((name) => values[name.replace(/\W/g, "")] ?? "1");
      const { code } = await answer(Line.of([verb, ...args].join(" ")), context);
      assert(code === 200 || verb === "HELP" && code === 404, `${verb}: ${code}`);
      assertEquals(
        table.mark() > 0 || isKilled,
        command.changes === true,
        `${verb}: set changes: true where it changes something, and nowhere else`,
      );
    }
  },
);

testWith(["read"], "a reply about an error holds no character that a client sent", async () => {
  const context = await contextOfAll();
  const hostile = [
    "\x1b[2J",
    "\x07",
    "\b\b\b",
    "\x00",
    "\x7f",
    "\x1b]0;title\x07",
    "a\rb",
    "\x9b2J",
  ];
  for (const text of hostile) {
    const fields = [text, `k ${text}`, `k 1 ${text}`, `${text} ${text} ${text} ${text}`];
    const lines = [...context.registry].flatMap(({ verb }) =>
      fields.map((rest) => `${verb} ${rest}`)
    );
    for (const line of [text, `${text} k`, ...lines]) {
      const { code, wire } = await answer(Line.of(line), context);
      if (code === 200) continue; // As a value, what is no control character by the protocol.
      const [reply, ...others] = wire.split("\r\n");
      assertEquals(others, [""]);
      assertMatch(reply!, /^[ -~]+$/, JSON.stringify(line));
      assert(!reply!.includes("title"), `${JSON.stringify(reply)} to ${JSON.stringify(line)}`);
    }
  }
});
