/** COUNT: how many keys there are. */

import type { Command } from "../server/command.ts";
import { ok } from "../server/reply.ts";

export default {
  summary: "Return the number of keys",
  arity: [],
  replies: { 200: "the number" },
  handler(_, { table }) {
    return ok(table.count());
  },
} satisfies Command<[]>;
