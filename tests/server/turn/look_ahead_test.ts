/**
 * The requests of the lines in a split buffer: made in order, a block ahead of their answers, and of which keys
 * the table is told.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import get from "../../../commands/get.ts";
import help from "../../../commands/help.ts";
import { prepare } from "../../../server/dispatch/request.ts";
import type { Line } from "../../../server/input/line.ts";
import { NO_LINES } from "../../../server/input/lines.ts";
import { LookAhead } from "../../../server/turn/look_ahead.ts";
import { SplitBuffer } from "../../../server/turn/split_buffer.ts";
import type { Submission } from "../../../server/turn/submission.ts";
import type { Text } from "../../../tables/text.ts";
import { contextWith } from "../../support/context.ts";
import { linesIn } from "../../support/line_cuts.ts";

/** Looks ahead at connections with these lines. */
function lookAhead(connections: readonly (readonly string[])[]) {
  const context = contextWith({ get, help });
  const prepared: string[] = [];
  const told: string[][] = [];
  const buffer = new SplitBuffer();
  const prefetch = (keys: readonly Text[]) => void told.push(keys.map(String));
  const ahead = new LookAhead(buffer, { prefetch });
  const submissions: Submission<"prepare">[] = connections.map((texts, i) => ({
    session: {
      prepare(line: Line) {
        prepared.push(`${i} ${line.text}`);
        return prepare(line, context);
      },
    },
    lines: linesOf(texts),
  }));
  buffer.load(submissions);
  ahead.begin(submissions, connections.flat());
  return { ahead, prepared, told };
}

function linesOf(texts: readonly string[]) {
  if (texts.length === 0) return NO_LINES;
  const packet = texts.map((text) => `${text}\r\n`).join("");
  return linesIn(packet);
}

Deno.test("each line becomes a request of its own connection, in order, and only once", () => {
  const connections = [["GET é", "HELP"], [], ["NOSUCH"], ["", "GET b"]];
  const { ahead, prepared, told } = lookAhead(connections);
  const texts = connections.flat();
  for (const [i, text] of texts.entries()) {
    assertEquals(ahead.at(i).line.text, text);
    assertEquals(String(ahead.at(i).args[0] ?? ""), /(?<=^GET ).*/.exec(text)?.[0] ?? "");
  }
  assertEquals(prepared, ["0 GET é", "0 HELP", "2 NOSUCH", "3 ", "3 GET b"]);
  assertEquals(told, [["é", "b"]], "keys alone");
});

Deno.test("the keys of 64 requests are told at a time, before the first of them", () => {
  const texts = Array.from({ length: 150 }, (_, i) => `GET ${i}`);
  const { ahead, told } = lookAhead([texts.slice(0, 100), texts.slice(100)]);
  const sizes = () => told.map(({ length }) => length);
  assertEquals([String(ahead.at(0).args[0]), sizes()], ["0", [64]]);
  assertEquals([String(ahead.at(63).args[0]), sizes()], ["63", [64]]);
  // A connection that takes no more leaves out the rest of its lines.
  assertEquals([String(ahead.at(149).args[0]), sizes()], ["149", [64, 64, 22]]);
  assertEquals(told.flat(), texts.map((text) => text.slice(4)));
});

Deno.test("one key alone is not told: it is looked up at once anyway", () => {
  const { ahead, told } = lookAhead([["GET a", "HELP"]]);
  assertEquals([String(ahead.at(0).args[0]), told], ["a", []]);
});
