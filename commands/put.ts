/** PUT key value: the value is the rest of the line, as it stands. */

import type { Command, Text } from "../server/command.ts";
import { okay } from "../server/reply.ts";

export default {
  summary: "Store a value under a key, in place of another",
  arity: ["key", "value..."],
  replies: { 200: "the value is stored, and an end that the key had is taken away" },
  handler([key, value], { table }) {
    table.put(key, value);
    return okay;
  },
} satisfies Command<[key: Text, value: Text]>;
