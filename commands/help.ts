/** HELP [verb]: the operations, described by the same fields that run them. */

import type { Command, OperationInfo, Text } from "../server/command.ts";
import { synonymOf } from "../server/dispatch/synonyms.ts";
import { notFound, okLines } from "../server/reply.ts";

export default {
  summary: "List the operations, or show one with its replies",
  arity: ["verb?"],
  replies: { 200: "a line for each operation, or for each reply of one", 404: "no such operation" },
  open: true,
  handler([verb], { registry }) {
    if (verb === undefined) {
      const width = Math.max(...[...registry].map(({ usage }) => usage.length));
      const lines = [...registry].map((o) => `${o.usage.padEnd(width)}  ${o.command.summary}`);
      return okLines(lines);
    }
    const operation = registry.find(verb);
    if (operation !== undefined) return okLines(linesOf(operation));
    const synonym = synonymOf(String(verb));
    const meant = synonym && registry.find(synonym.verb);
    if (meant === undefined) return notFound;
    return okLines([`${synonym!.word} is ${synonym!.as ?? meant.verb} here`, ...linesOf(meant)]);
  },
} satisfies Command<[verb?: Text]>;

function linesOf({ usage, command }: OperationInfo): string[] {
  const replies = Object.entries(command.replies).map(([code, when]) => `  ${code}: ${when}`);
  return [usage, command.summary, ...replies];
}
