/** DELETE key: nothing is stored under the key afterwards. */

import type { Command, Text } from "../server/command.ts";
import { okay } from "../server/reply.ts";

export default {
  summary: "Remove a key and its value",
  arity: ["key"],
  replies: { 200: "the key has no value now, whether it had one or not" },
  handler([key], { table }) {
    table.delete(key);
    return okay;
  },
} satisfies Command<[key: Text]>;
