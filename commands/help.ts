/** HELP [verb]: the operations, from the same fields that run them. */

import type { Command, Text } from "../server/command.ts";
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
    if (operation === undefined) return notFound;
    const { usage, command } = operation;
    const replies = Object.entries(command.replies).map(([code, when]) => `  ${code}: ${when}`);
    return okLines([usage, command.summary, ...replies]);
  },
} satisfies Command<[verb?: Text]>;
