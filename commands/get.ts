/** GET key: the value under a key. */

import type { Command, Text } from "../server/command.ts";
import { notFound, ok } from "../server/reply.ts";

export default {
  summary: "Return the value stored under a key",
  arity: ["key"],
  readsValue: true,
  replies: { 200: "the value", 404: "the key has no value" },
  handler([key], { table }) {
    const value = table.get(key);
    return value === undefined ? notFound : ok(value);
  },
} satisfies Command<[key: Text]>;
