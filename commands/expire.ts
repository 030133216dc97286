/** EXPIRE key seconds: gives the key a time to live. */

import type { Command, Text } from "../server/command.ts";
import { parseSeconds, SECONDS } from "../server/number.ts";
import { badRequest, notFound, okay } from "../server/reply.ts";

const RANGE = `from ${SECONDS.min} to ${SECONDS.max}`;

export default {
  summary: "Make a key expire after this many seconds",
  details:
    `The seconds are a number ${RANGE}, and may have a fraction. The key's value and version do not ` +
    "change.",
  arity: ["key", "seconds"],
  readsValue: true,
  replies: { 200: "the key expires then", 404: "the key has no value" },
  changes: true,
  handler([key, seconds], { table, now }) {
    const milliseconds = parseSeconds(seconds);
    if (milliseconds === undefined) return badRequest(`seconds must be a number ${RANGE}`);
    return table.expire(key, now() + milliseconds) ? okay : notFound;
  },
} satisfies Command<[key: Text, seconds: Text]>;
