/** ADD key value: a PUT that never replaces. Of many clients that try, one succeeds. */

import type { Command, Text } from "../server/command.ts";
import { conflict, okay } from "../server/reply.ts";

export default {
  summary: "Store a value only if the key has none",
  arity: ["key", "value..."],
  replies: { 200: "the value is stored", 409: "the key has a value, which is unchanged" },
  changes: true,
  handler([key, value], { table }) {
    if (table.entry(key) !== undefined) return conflict("the key has a value");
    table.put(key, value);
    return okay;
  },
} satisfies Command<[key: Text, value: Text]>;
