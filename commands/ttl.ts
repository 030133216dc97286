/** TTL key: how long a key has yet. */

import type { Command, Text } from "../server/command.ts";
import { notFound, ok } from "../server/reply.ts";

export default {
  summary: "Return how many seconds a key has left",
  arity: ["key"],
  replies: { 200: "the seconds, or none where the key does not end", 404: "the key has no value" },
  handler([key], { table, now }) {
    const entry = table.entry(key);
    if (entry === undefined) return notFound;
    if (entry.expiresAt === null) return ok("none");
    // Time goes on between the look and this line, but what was found has some left.
    return ok(Math.max(1, entry.expiresAt - now()) / 1_000);
  },
} satisfies Command<[key: Text]>;
