/** CLEAR: empties the table. */

import type { Command } from "../server/command.ts";
import { okay } from "../server/reply.ts";

export default {
  summary: "Remove every key",
  arity: [],
  replies: { 200: "the table is empty" },
  changes: true,
  handler(_, { table }) {
    table.clear();
    return okay;
  },
} satisfies Command<[]>;
