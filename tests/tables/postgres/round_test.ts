/**
 * A round of statements, as the client of the package sees it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Round } from "../../../tables/postgres/round.ts";

/** Sends a round, and returns the messages that leave. */
function sent(round: Round): string[] {
  const messages: string[] = [];
  round.submit({
    parse: ({ name }) => messages.push(`parse ${name}`),
    bind: ({ statement, values }) => messages.push(`bind ${statement} ${values.join()}`),
    execute: () => messages.push("execute"),
    sync: () => messages.push("sync"),
  });
  return messages;
}

const STATEMENTS = [
  { text: "BEGIN" },
  { name: "a", text: "SELECT $1", values: [1] },
  { name: "b", text: "SELECT 2" },
];

Deno.test("the engine synchronises once for all statements of a round, and prepares each once", async () => {
  const prepared = new Set<string>();
  const first = new Round(STATEMENTS, prepared);
  assertEquals(sent(first), [
    ...["parse ", "bind  ", "execute"],
    ...["parse a", "bind a 1", "execute"],
    ...["parse b", "bind b ", "execute", "sync"],
  ]);
  first.handleCommandComplete({ text: "BEGIN" });
  first.handleDataRow({ fields: ["1"] });
  first.handleCommandComplete({ text: "SELECT 1" });
  first.handleCommandComplete({ text: "SELECT 0" });
  first.handleReadyForQuery();
  await first.done;
  assertEquals(first.answers, [
    { rows: [], command: "BEGIN" },
    { rows: [["1"]], command: "SELECT 1" },
    { rows: [], command: "SELECT 0" },
  ]);
  const parsed = sent(new Round(STATEMENTS, prepared)).filter((text) => text.startsWith("parse"));
  assertEquals(parsed, ["parse "]);
});

Deno.test("what has not been prepared when a statement fails is prepared again, and has its error", async () => {
  const prepared = new Set<string>();
  const round = new Round(STATEMENTS, prepared);
  sent(round);
  round.noteParsed();
  round.handleCommandComplete({ text: "BEGIN" });
  round.noteParsed();
  const error = new Error("no");
  round.handleError(error);
  await round.done;
  assertEquals(round.answers, [{ rows: [], command: "BEGIN" }, { error }, { error }]);
  assertEquals([...prepared], ["a"]);
});

Deno.test("where the commit of statements fails that have all been answered, the last has failed", async () => {
  const round = new Round(STATEMENTS.slice(1), new Set());
  sent(round);
  for (const text of ["SELECT 1", "SELECT 0"]) round.handleCommandComplete({ text });
  const error = new Error("no");
  round.handleError(error);
  await round.done;
  assertEquals(round.answers, [{ rows: [], command: "SELECT 1" }, { error }]);
});
