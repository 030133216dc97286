/**
 * Requests: which of them reach their handler.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Command } from "../../../server/command.ts";
import { answer } from "../../support/answer.ts";
import { Line } from "../../../server/input/line.ts";
import { okay } from "../../../server/reply.ts";
import { contextWith } from "../../support/context.ts";

Deno.test("a request that is not well formed does not reach its handler", () => {
  let handled = 0;
  const store: Command = {
    summary: "Store",
    arity: ["key", "version", "value..."],
    replies: { 200: "done" },
    handler() {
      handled++;
      return okay;
    },
  };
  const drop: Command = { ...store, arity: ["key", "by?"] };
  const context = contextWith({ store, drop });
  const codeOf = (line: string) => (answer(Line.of(line), context) as { code: number }).code;
  const malformed = [
    ...[
      "",
      "   ",
      "STORE",
      "STORE a",
      "STORE a 1",
      "STORE a 1 ",
      "STORE a 1 x\x00",
      "STORE a\t 1 x",
    ],
    ...[`STORE ${"k".repeat(1_025)} 1 x`, "DROP", "DROP a 1 2", "DROP a \x7f"],
  ];
  for (const line of malformed) assertEquals(codeOf(line), 400, JSON.stringify(line));
  assertEquals(handled, 0);
  for (const line of ["STORE a 1 x", "drop a", "DROP a 1"]) assertEquals(codeOf(line), 200, line);
  assertEquals(handled, 3);
});
