/** GETS key: the value with its version, which a later CAS names. */

import type { Command, Text } from "../server/command.ts";
import { notFound, ok } from "../server/reply.ts";

export default {
  summary: "Return the value stored under a key, with its version before it",
  arity: ["key"],
  replies: { 200: "the version, a space, and the value", 404: "the key has no value" },
  handler([key], { table }) {
    const entry = table.entry(key);
    return entry === undefined ? notFound : ok(`${entry.version} ${entry.value}`);
  },
} satisfies Command<[key: Text]>;
