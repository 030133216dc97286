/** DELETE key: removes the key, or does nothing if it is not there. */

import type { Command, Text } from "../server/command.ts";
import { okay } from "../server/reply.ts";

export default {
  summary: "Remove a key and its value",
  arity: ["key"],
  replies: { 200: "the key has no value now, whether or not it had one" },
  changes: true,
  handler([key], { table }) {
    table.delete(key);
    return okay;
  },
} satisfies Command<[key: Text]>;
