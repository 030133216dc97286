/** EXPIRE key seconds: gives the key a time to live. */

import type { Command, Text } from "../server/command.ts";
import { parseSeconds } from "../server/number.ts";
import { badRequest, notFound, okay } from "../server/reply.ts";

export default {
  summary: "Make a key expire after this many seconds",
  details: "Fractions are allowed, down to 0.001. The key's value and version do not change.",
  arity: ["key", "seconds"],
  replies: { 200: "the key expires then", 404: "the key has no value" },
  handler([key, seconds], { table, now }) {
    const milliseconds = parseSeconds(seconds);
    if (milliseconds === undefined) return badRequest("seconds must be a number from 0.001 up");
    return table.expire(key, now() + milliseconds) ? okay : notFound;
  },
} satisfies Command<[key: Text, seconds: Text]>;
