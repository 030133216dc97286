/** PERSIST key: takes back an EXPIRE. */

import type { Command, Text } from "../server/command.ts";
import { notFound, okay } from "../server/reply.ts";

export default {
  summary: "Take the end off a key, so that it stays",
  arity: ["key"],
  replies: { 200: "the key does not end", 404: "the key has no value" },
  handler([key], { table }) {
    return table.expire(key, null) ? okay : notFound;
  },
} satisfies Command<[key: Text]>;
