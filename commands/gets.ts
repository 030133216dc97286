/** GETS key: the value and its version, for a later CAS. */

import type { Command, Text } from "../server/command.ts";
import { notFound, ok } from "../server/reply.ts";

export default {
  summary: "Return the version and the value of a key",
  details:
    "Each change of a value gives it a new version, a whole number that is never used again.",
  arity: ["key"],
  readsValue: true,
  replies: { 200: "the version, a space, and the value", 404: "the key has no value" },
  handler([key], { table }) {
    const entry = table.entry(key);
    return entry === undefined ? notFound : ok(`${entry.version} ${entry.value}`);
  },
} satisfies Command<[key: Text]>;
