/** TTL key: how long a key has left. */

import type { Command, Text } from "../server/command.ts";
import { notFound, ok } from "../server/reply.ts";

export default {
  summary: "Return how many seconds a key has left",
  arity: ["key"],
  replies: { 200: "the seconds, or `none` if it does not expire", 404: "the key has no value" },
  handler([key], { table, now }) {
    const entry = table.entry(key);
    if (entry === undefined) return notFound;
    if (entry.expiresAt === null) return ok("none");
    // The key was alive when it was looked up, even if its last millisecond has passed since.
    return ok(Math.max(1, entry.expiresAt - now()) / 1_000);
  },
} satisfies Command<[key: Text]>;
