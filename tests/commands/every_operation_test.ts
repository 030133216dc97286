/**
 * What holds for every operation there is, found as the server finds them.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { answer } from "../../server/dispatch/gate.ts";
import { Line } from "../../server/input/line.ts";
import { contextOfAll } from "../support/context.ts";
import { testWith } from "../support/harness.ts";

testWith(["read"], "each operation has a file with its cases", async () => {
  const { registry } = await contextOfAll();
  for (const { verb } of registry) {
    const name = verb.toLowerCase();
    const file = new URL(`${name}_test.ts`, import.meta.url);
    const call = new RegExp(`^testOperation\\(\\{\\s*${name}\\b`, "m");
    assertMatch(Deno.readTextFileSync(file), call, `add cases to tests/commands/${name}_test.ts`);
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
