/** PUT key value: the value is the rest of the line, verbatim. */

import type { Command, Text } from "../server/command.ts";
import { okay } from "../server/reply.ts";

export default {
  summary: "Store a value under a key, replacing any other",
  arity: ["key", "value..."],
  replies: { 200: "the value is stored, and the key does not expire" },
  changes: true,
  handler([key, value], { table }) {
    table.put(key, value);
    return okay;
  },
} satisfies Command<[key: Text, value: Text]>;
