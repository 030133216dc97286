/** EXPIRE key seconds: the key ends by itself. */

import type { Command, Text } from "../server/command.ts";
import { parseSeconds } from "../server/number.ts";
import { badRequest, notFound, okay } from "../server/reply.ts";

export default {
  summary: "Let a key end this many seconds from now; fractions are allowed, down to 0.001",
  arity: ["key", "seconds"],
  replies: { 200: "the key ends then", 404: "the key has no value" },
  handler([key, seconds], { table, now }) {
    const milliseconds = parseSeconds(seconds);
    if (milliseconds === undefined) return badRequest("seconds must be a number from 0.001 up");
    return table.expire(key, now() + milliseconds) ? okay : notFound;
  },
} satisfies Command<[key: Text, seconds: Text]>;
