/** CAS key version value: compare and swap. Of two clients that read one version, one succeeds. */

import type { Command, Text } from "../server/command.ts";
import { parseInteger } from "../server/number.ts";
import { badRequest, conflict, notFound, ok } from "../server/reply.ts";

export default {
  summary: "Store a value only if the key still has this version, which GETS returned",
  arity: ["key", "version", "value..."],
  replies: {
    200: "the value is stored, and this is its version; the expiry is kept",
    404: "the key has no value",
    409: "the key has changed since; it is left as it is",
  },
  changes: true,
  handler([key, version, value], { table }) {
    const expected = parseInteger(version);
    if (expected === undefined || expected < 0n) {
      return badRequest("the version is no whole number");
    }
    const entry = table.entry(key);
    if (entry === undefined) return notFound;
    if (BigInt(entry.version) !== expected) return conflict("the key has another version");
    return ok(table.put(key, value, entry));
  },
} satisfies Command<[key: Text, version: Text, value: Text]>;
