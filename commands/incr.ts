/** INCR key [by]: a counter that many clients can share. */

import type { Command, Text } from "../server/command.ts";
import { isInt64, parseInteger } from "../server/number.ts";
import { badRequest, conflict, ok } from "../server/reply.ts";

export default {
  summary: "Add 1, or another integer, to the integer stored under a key",
  arity: ["key", "by?"],
  readsValue: true,
  replies: {
    200: "the new value; a missing key counts as 0; the expiry is kept",
    409: "the value is not a 64-bit integer, or the sum is not; it is left as it is",
  },
  changes: true,
  handler([key, by], { table }) {
    const step = parseInteger(by ?? "1");
    if (step === undefined) return badRequest("the step is not a 64-bit integer");
    const entry = table.entry(key);
    const value = parseInteger(entry?.value ?? "0");
    if (value === undefined) return conflict("the value is not a 64-bit integer");
    if (!isInt64(value + step)) return conflict("the value would overflow");
    table.put(key, String(value + step), entry);
    return ok(value + step);
  },
} satisfies Command<[key: Text, by?: Text]>;
