/** PERSIST key: undoes EXPIRE. */

import type { Command, Text } from "../server/command.ts";
import { notFound, okay } from "../server/reply.ts";

export default {
  summary: "Remove the expiry of a key",
  arity: ["key"],
  readsValue: true,
  replies: { 200: "the key does not expire", 404: "the key has no value" },
  changes: true,
  handler([key], { table }) {
    return table.expire(key, null) ? okay : notFound;
  },
} satisfies Command<[key: Text]>;
